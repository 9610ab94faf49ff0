#include "models/resolve.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/file.h"
#include "models/gguf.h"

namespace escribano {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_files_in_folder = 10000;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_gguf(const fs::path& path) { return lower(path.extension().native()) == ".gguf"; }
bool is_projector_name(const fs::path& path) { return lower(path.stem().native()).find("mmproj") != std::string::npos; }

std::string names(const std::vector<fs::path>& paths) {
  std::vector<std::string> shown;
  shown.reserve(paths.size());
  for (const fs::path& path : paths) shown.push_back(printable(path.filename()));
  return fmt::format("{}", fmt::join(shown, ", "));
}

bool is_precision(std::string_view word) {
  if (word == "f16" || word == "bf16" || word == "f32" || word == "fp16" || word == "fp32") return true;
  if (word.starts_with("mxfp")) return true;
  if (word.starts_with('i') || word.starts_with('t')) word.remove_prefix(1);  // IQ4_XS, TQ1_0
  return word.size() >= 2 && (word[0] == 'q') && std::isdigit(static_cast<unsigned char>(word[1])) != 0;
}

// The parts of a name between dashes, dots and spaces, in lower case.
std::vector<std::string> words_of(const fs::path& path) {
  std::vector<std::string> words(1);
  for (const char c : lower(path.stem().native())) {
    if (c == '-' || c == '.' || c == ' ')
      words.emplace_back();
    else
      words.back() += c;
  }
  return words;
}

// A projector whose name does not say so.
bool is_projector_inside(const fs::path& path) {
  const auto file = models::GgufFile::open(path);
  if (!file) return false;
  const auto text = [&](const char* key) {
    const models::GgufValue* value = file->header().find(key);
    return value == nullptr ? std::string_view() : value->as_string().value_or("");
  };
  return text("general.architecture") == "clip" || text("general.type") == "mmproj";
}

struct GgufFiles {
  std::vector<fs::path> models;
  std::vector<fs::path> projectors;
};

// The .gguf files directly in a folder, in the order of their names.
Result<GgufFiles> list_gguf(const fs::path& folder) {
  GgufFiles files;
  std::error_code error;
  std::size_t count = 0;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (++count > max_files_in_folder) break;
    std::error_code ignored;
    if (!is_gguf(it->path()) || !it->is_regular_file(ignored)) continue;
    (is_projector_name(it->path()) ? files.projectors : files.models).push_back(it->path());
  }
  if (error) return fail(Errc::not_permitted, "{} cannot be listed: {}", printable(folder), error.message());
  std::ranges::sort(files.models);
  std::ranges::sort(files.projectors);
  // Only where names leave it open are the files asked.
  if (files.projectors.empty() && files.models.size() > 1) {
    const auto inside = std::ranges::stable_partition(files.models, std::not_fn(is_projector_inside));
    files.projectors.assign(inside.begin(), inside.end());
    files.models.erase(inside.begin(), inside.end());
  }
  return files;
}

// The stem without "mmproj" and without what only says how precise the weights are: two files that differ in nothing
// else hold the same network.
std::string network_name(const fs::path& path) {
  std::vector<std::string> words = words_of(path);
  std::erase_if(words, [](const std::string& word) {
    return word.empty() || is_precision(word) || word == "mmproj" || word == "model";
  });
  return fmt::format("{}", fmt::join(words, "-"));
}

// Among projectors of one network the one that is precise without being large: F16, else BF16, else what comes first.
const fs::path& most_useful(const std::vector<fs::path>& projectors) {
  const auto holds = [](const fs::path& path, std::string_view precision) {
    const std::string stem = lower(path.stem().native());
    const std::size_t at = stem.find(precision);
    return at != std::string::npos && (at == 0 || stem[at - 1] != 'b');  // "bf16" is not "f16"
  };
  for (const char* precision : {"f16", "bf16"}) {
    for (const fs::path& path : projectors) {
      if (holds(path, precision)) return path;
    }
  }
  return projectors.front();
}

// The projector of a model among the files beside it; nothing where there is none.
Result<fs::path> choose_projector(const fs::path& model, const std::vector<fs::path>& projectors) {
  if (projectors.empty()) return fs::path();
  const std::string stem = model.stem().native();
  for (const fs::path& path : projectors) {
    const std::string other = path.stem().native();
    if (other == stem + "-mmproj" || other == stem + ".mmproj" || other == "mmproj-" + stem) return path;
  }
  std::vector<fs::path> same;
  std::ranges::copy_if(projectors, std::back_inserter(same),
                       [&](const fs::path& path) { return network_name(path) == network_name(model); });
  const std::vector<fs::path>& candidates = same.empty() ? projectors : same;
  const bool one_network = std::ranges::all_of(
      candidates, [&](const fs::path& path) { return network_name(path) == network_name(candidates.front()); });
  if (one_network) return most_useful(candidates);
  return fail(Errc::invalid_argument, "{} has several projectors beside it ({}); name the one to use", printable(model),
              names(candidates));
}

Result<ModelFiles> from_gguf(const fs::path& model, const ResolveOptions& options, std::string name) {
  ModelFiles files{model, options.projector, std::move(name)};
  if (!files.projector.empty()) {
    if (!is_there(files.projector)) return fail(Errc::not_found, "{} does not exist", printable(files.projector));
    return files;
  }
  const fs::path folder = model.has_parent_path() ? model.parent_path() : fs::path(".");
  ESCRIBANO_TRY(const GgufFiles beside, list_gguf(folder));
  ESCRIBANO_TRY(files.projector, choose_projector(model, beside.projectors));
  return files;
}

// What distinguishes the models of a folder, to choose one by: "Q4_K_M, F16".
std::string choices(const std::vector<fs::path>& models) {
  std::vector<std::string> labels;
  for (const fs::path& model : models) {
    std::string label = quantisation_label(model);
    if (label.empty() || std::ranges::find(labels, label) != labels.end()) return {};
    labels.push_back(std::move(label));
  }
  return fmt::format("{}", fmt::join(labels, ", "));
}

Result<ModelFiles> from_folder(const fs::path& folder, const ResolveOptions& options, std::string name,
                               std::string_view quantisation = {}) {
  ESCRIBANO_TRY(GgufFiles files, list_gguf(folder));
  if (!quantisation.empty()) {
    const std::vector<fs::path> all = files.models;
    std::erase_if(files.models, [&](const fs::path& path) {
      return lower(quantisation_label(path)) != lower(std::string(quantisation));
    });
    if (files.models.empty()) {
      return fail(Errc::not_found, "{} holds no .gguf file of {}{}", printable(folder),
                  printable(fs::path(quantisation)), all.empty() ? "" : ", but " + names(all));
    }
    name += fmt::format(":{}", quantisation_label(files.models.front()));
  }
  if (files.models.size() > 1) {
    const std::string labels = choices(files.models);
    return fail(Errc::invalid_argument, "{} holds several models ({}); {}", printable(folder), names(files.models),
                labels.empty() ? "give the path of one"
                               : fmt::format("choose one as {}:QUANT, where QUANT is one of {}", name, labels));
  }
  if (files.models.size() == 1) return from_gguf(files.models.front(), options, std::move(name));
  if (!is_there(folder / "config.json")) {
    return fail(Errc::not_found, "{} holds no model: neither a .gguf file nor a config.json", printable(folder));
  }
  if (!options.projector.empty()) {
    return fail(Errc::invalid_argument, "{} is imported with its own vision tower; a projector cannot be given",
                printable(folder));
  }
  const fs::path root = !options.import_root.empty() ? options.import_root
                        : !options.home.empty()      ? options.home / "cache"
                                                     : fs::path();
  if (root.empty()) {
    return fail(Errc::invalid_argument, "{} must be imported, but no folder for imported models is known",
                printable(folder));
  }
  ImportOptions import = options.import;
  import.name = std::move(name);
  return import_folder(folder, root, import, options.progress);
}

fs::path cached_repository(const fs::path& hf_hub, const std::string& name) {
  std::string folder_name = "models--" + name;
  folder_name.replace(folder_name.find('/'), 1, "--");
  return hf_hub / folder_name;
}

Result<ModelFiles> from_hub_name(const std::string& name, const ResolveOptions& options,
                                 std::string_view quantisation) {
  std::vector<fs::path> folders;
  std::vector<std::string> looked_at;
  if (!options.home.empty()) {
    folders.push_back(options.home / "models" / name);
    looked_at.push_back(printable(folders.back()));
  }
  if (!options.hf_hub.empty()) {
    const fs::path repository = cached_repository(options.hf_hub, name);
    if (const auto snapshot = hub_snapshot(repository)) folders.push_back(*snapshot);
    looked_at.push_back(printable(repository / "snapshots"));
  }
  // A download that was cut short must not hide a complete copy elsewhere, but is what to report if there is none.
  std::optional<Error> incomplete;
  for (const fs::path& folder : folders) {
    if (!is_folder(folder)) continue;
    auto files = from_folder(folder, options, name, quantisation);
    if (files || files.error().code != Errc::not_found) return files;
    if (!incomplete) incomplete = std::move(files).error();
  }
  if (incomplete) return fail(*std::move(incomplete));
  return fail(Errc::not_found, "the model {} is not on this machine; looked for a file or folder of that name, {}",
              name, fmt::join(looked_at, ", "));
}

std::string name_of(const fs::path& path) {
  std::error_code error;
  const fs::path full = fs::weakly_canonical(path, error);
  const fs::path& named = error ? path : full;
  return printable(is_gguf(named) ? named.stem() : named.filename());
}

}  // namespace

std::optional<fs::path> hub_snapshot(const fs::path& repository) {
  const auto revision = read_text_file(repository / "refs" / "main", 1024);
  if (revision) {
    const std::string text = revision->substr(0, revision->find_last_not_of(" \t\r\n") + 1);
    const bool is_name = !text.empty() && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (is_name && is_folder(repository / "snapshots" / text)) return repository / "snapshots" / text;
  }
  std::optional<fs::path> newest;
  fs::file_time_type newest_time = fs::file_time_type::min();
  std::error_code error;
  for (fs::directory_iterator it(repository / "snapshots", error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const fs::file_time_type time = fs::last_write_time(it->path(), ignored);
    if (!it->is_directory(ignored) || (newest && time <= newest_time)) continue;
    newest = it->path();
    newest_time = time;
  }
  return newest;
}

Result<std::vector<fs::path>> list_models(const fs::path& folder) {
  ESCRIBANO_TRY(GgufFiles files, list_gguf(folder));
  return std::move(files.models);
}

std::string quantisation_label(const fs::path& model) {
  std::vector<std::string> words = words_of(model);
  const auto label = std::find_if(words.rbegin(), words.rend(), is_precision);
  if (label == words.rend()) return {};
  std::ranges::transform(*label, label->begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return *label;
}

bool is_hub_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos || name.find('/', slash + 1) != std::string_view::npos) return false;
  const auto is_part = [](std::string_view part) {
    return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
           std::ranges::all_of(
               part, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; });
  };
  return is_part(name.substr(0, slash)) && is_part(name.substr(slash + 1));
}

std::optional<fs::path> hub_cache_snapshot(const fs::path& hf_hub, const std::string& name) {
  if (hf_hub.empty() || !is_hub_name(name)) return std::nullopt;
  return hub_snapshot(cached_repository(hf_hub, name));
}

Result<ModelFiles> resolve_model(std::string_view name, const ResolveOptions& options) {
  if (name.empty()) return fail(Errc::invalid_argument, "the name of the model is empty");
  if (name == "demo") {
    if (options.demo_folder.empty() || !is_folder(options.demo_folder)) {
      return fail(Errc::not_found, "the demo model is not installed: there is no folder {}",
                  printable(options.demo_folder));
    }
    return from_folder(options.demo_folder, options, "demo");
  }
  const fs::path path{name};
  if (is_folder(path)) return from_folder(path, options, name_of(path));
  if (is_there(path)) {
    if (!is_gguf(path)) {
      return fail(Errc::unsupported, "{} is neither a .gguf file nor a folder", printable(path));
    }
    return from_gguf(path, options, name_of(path));
  }
  // What is behind a colon chooses among the files of a folder.
  const std::size_t colon = name.rfind(':');
  const std::string_view base = name.substr(0, colon);
  const std::string_view quantisation = colon == std::string_view::npos ? "" : name.substr(colon + 1);
  const fs::path folder{base};
  if (!quantisation.empty() && is_folder(folder)) return from_folder(folder, options, name_of(folder), quantisation);
  if (is_hub_name(base) && !is_gguf(path) && (colon == std::string_view::npos || !quantisation.empty())) {
    return from_hub_name(std::string(base), options, quantisation);
  }
  return fail(Errc::not_found, "{} does not exist", printable(path));
}

}  // namespace escribano
