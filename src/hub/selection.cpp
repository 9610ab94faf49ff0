#include "hub/selection.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/resolve.h"

namespace escribano::hub {
namespace {

// More parts than any model has; each is an open file while it is downloaded.
constexpr std::size_t kMaxFiles = 500;

std::string lower(std::string_view text) {
  std::string copy(text);
  std::ranges::transform(copy, copy.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return copy;
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_gguf(const RemoteFile& file) { return lower(file.path).ends_with(".gguf"); }
bool is_projector(const RemoteFile& file) { return lower(base_name(file.path)).find("mmproj") != std::string::npos; }
bool is_in_top_folder(const RemoteFile& file) { return file.path.find('/') == std::string::npos; }

bool belongs_to_safetensors(std::string_view name) {
  constexpr std::array<std::string_view, 11> kNames = {"config.json",
                                                       "preprocessor_config.json",
                                                       "video_preprocessor_config.json",
                                                       "processor_config.json",
                                                       "generation_config.json",
                                                       "vocab.json",
                                                       "merges.txt",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "model.safetensors.index.json",
                                                       "escribano.json"};
  const auto is_like = [&](std::string_view begin, std::string_view end) {
    return name.starts_with(begin) && name.ends_with(end);
  };
  return std::ranges::find(kNames, name) != kNames.end() || name.ends_with(".safetensors") ||
         is_like("tokenizer", ".json") || is_like("chat_template", ".json") || is_like("chat_template", ".jinja");
}

// "-00001-of-00003", as llama.cpp names the parts of a model.
bool ends_with_part(std::string_view stem) {
  constexpr std::string_view kForm = "-#####-of-#####";
  if (stem.size() < kForm.size()) return false;
  stem.remove_prefix(stem.size() - kForm.size());
  return std::ranges::equal(stem, kForm, [](unsigned char c, char form) {
    return form == '#' ? std::isdigit(c) != 0 : c == static_cast<unsigned char>(form);
  });
}

std::string part_less_stem(std::string_view file_name) {
  std::string stem(file_name);
  if (lower(stem).ends_with(".gguf")) stem.resize(stem.size() - 5);
  if (ends_with_part(stem)) stem.resize(stem.size() - 15);
  return stem;
}

bool is_part(std::string_view file_name) { return part_less_stem(file_name).size() + 5 != file_name.size(); }

Result<std::vector<PullFile>> checked(std::vector<PullFile> files) {
  if (files.size() > kMaxFiles) return fail(Errc::too_large, "the model consists of more than {} files", kMaxFiles);
  std::ranges::sort(files, {}, &PullFile::name);
  std::set<std::string> seen;
  for (const PullFile& file : files) {
    ESCRIBANO_CHECK(check_file_name(file.name));
    if (!seen.insert(lower(file.name)).second) {
      return fail(Errc::protocol_error,
                  "the hub lists {} twice, or two files whose names differ in case only; nothing was written",
                  file.name);
    }
  }
  return files;
}

std::string list_of(const std::vector<const RemoteFile*>& models, const HubName& name) {
  std::vector<std::string> lines;
  lines.reserve(models.size());
  for (const RemoteFile* file : models) {
    lines.push_back(
        fmt::format("\n  {}:{} ({})", name.repository, quant_label(base_name(file->path)), shown_size(file->size)));
  }
  std::ranges::sort(lines);
  lines.erase(std::ranges::unique(lines).begin(), lines.end());
  constexpr std::size_t kMaxLines = 40;
  const std::size_t left_out = lines.size() - std::min(lines.size(), kMaxLines);
  lines.resize(lines.size() - left_out);
  return fmt::format("{}{}", fmt::join(lines, ""), left_out > 0 ? fmt::format("\n  and {} more", left_out) : "");
}

std::vector<const RemoteFile*> with_label(const std::vector<const RemoteFile*>& models, std::string_view quant) {
  const std::string wanted = lower(quant);
  std::vector<const RemoteFile*> exact;
  std::vector<const RemoteFile*> dynamic;
  for (const RemoteFile* file : models) {
    const std::string label = lower(quant_label(base_name(file->path)));
    if (label == wanted) exact.push_back(file);
    if (label == "ud-" + wanted) dynamic.push_back(file);
  }
  return exact.empty() ? dynamic : exact;
}

const RemoteFile* best_projector(const std::vector<const RemoteFile*>& projectors) {
  for (const char* wanted : {"f16", "bf16", "q8_0"}) {
    for (const RemoteFile* file : projectors) {
      if (lower(quant_label(base_name(file->path))) == wanted) return file;
    }
  }
  return projectors.empty() ? nullptr : projectors.front();
}

Result<std::vector<PullFile>> select_gguf(const std::vector<const RemoteFile*>& models,
                                          const std::vector<const RemoteFile*>& projectors, const HubName& name) {
  const std::vector<const RemoteFile*> chosen = name.quant.empty() ? models : with_label(models, name.quant);
  if (chosen.empty()) {
    return fail(Errc::invalid_argument, "{} has no {}; there are:{}", name.repository, name.quant,
                list_of(models, name));
  }
  const RemoteFile* first = chosen.front();
  if (is_part(base_name(first->path)) && std::ranges::all_of(chosen, [&](const RemoteFile* file) {
        return part_less_stem(base_name(file->path)) == part_less_stem(base_name(first->path));
      })) {
    return fail(Errc::unsupported, "{} is split into several files ({}, ...), which is not supported", name.repository,
                first->path);
  }
  if (chosen.size() > 1) {
    return fail(Errc::invalid_argument, "{} has several models; say which:{}", to_text(name), list_of(chosen, name));
  }
  std::vector<PullFile> files = {{std::string(base_name(first->path)), *first}};
  if (const RemoteFile* projector = best_projector(projectors)) {
    files.push_back({std::string(base_name(projector->path)), *projector});
  }
  return checked(std::move(files));
}

}  // namespace

std::string quant_label(std::string_view file_name) {
  std::string stem = part_less_stem(file_name);
  const std::string label = quantisation_label(stem + ".gguf");
  if (label.empty()) return stem;
  // "dynamic" quantisation, whose label is the usual one behind a word of its own
  return lower(stem).find("ud-" + lower(label)) == std::string::npos ? label : "UD-" + label;
}

Result<std::vector<PullFile>> select_files(const std::vector<RemoteFile>& files, const HubName& name) {
  std::vector<const RemoteFile*> models;
  std::vector<const RemoteFile*> projectors;
  std::vector<PullFile> safetensors;
  bool has_weights = false;
  bool has_config = false;
  for (const RemoteFile& file : files) {
    if (is_gguf(file)) {
      (is_projector(file) ? projectors : models).push_back(&file);
    } else if (is_in_top_folder(file) && belongs_to_safetensors(file.path)) {
      has_weights = has_weights || file.path.ends_with(".safetensors");
      has_config = has_config || file.path == "config.json";
      safetensors.push_back({file.path, file});
    }
  }
  if (has_weights && has_config && name.quant.empty()) return checked(std::move(safetensors));
  if (!models.empty()) return select_gguf(models, projectors, name);
  if (has_weights && has_config) {
    return fail(Errc::invalid_argument, "{} has no GGUF files, so there is no {} to choose; leave :{} out",
                name.repository, name.quant, name.quant);
  }
  return fail(Errc::not_found,
              "{} holds no model that can be used: neither a .gguf file nor a config.json with .safetensors files",
              to_text(name));
}

}  // namespace escribano::hub
