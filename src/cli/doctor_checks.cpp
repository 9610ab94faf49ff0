#include "cli/doctor_checks.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/memory.h"
#include "cli/model_setup.h"
#include "engine/llama/llama_system.h"
#include "http/http.h"
#include "image/library_versions.h"
#include "recording/recording_file.h"
#include "store/sqlite_store.h"

namespace escribano::cli {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kLittleMemory = 4 * kGiB;
constexpr std::string_view kDefaultModelFolder = "models/mlx-community/Qwen3-VL-2B-Instruct-bf16";

// Whether files can be made in `folder`, which may not be there yet. Says what is in the way.
Status can_write_into(const std::filesystem::path& folder) {
  std::filesystem::path existing = std::filesystem::absolute(folder);
  std::error_code error;
  while (!std::filesystem::exists(existing, error) && existing.has_relative_path()) existing = existing.parent_path();
  if (!std::filesystem::is_directory(existing, error)) {
    return fail(Errc::io_error, "{} is not a folder", printable(existing));
  }
  if (::access(existing.c_str(), W_OK | X_OK) != 0) {
    return fail(Errc::not_permitted, "{} cannot be written to", printable(existing));
  }
  return {};
}

std::string model_sentence(const ChosenModel& model) {
  const ModelInfo& info = model.info;
  std::string text = fmt::format("{}: {}, {}", model.files.name, human_bytes(info.file_bytes),
                                 info.has_vision ? "looks at pictures" : "text only");
  if (info.n_ctx_train > 0) text += fmt::format(", up to {} tokens", info.n_ctx_train);
  return text + "; in " + printable(model.files.model.parent_path());
}

std::string mend_model(const Error& error, const Setting<std::string>& name) {
  switch (error.code) {
    case Errc::not_found:
      return fmt::format("correct {}, or put the model there; 'demo' is always at hand (docs/models.md)",
                         name.is_default() ? "ESCRIBANO_VLM_MODEL" : name.source);
    case Errc::no_vision: return "put the model's mmproj file beside it, or name it with --mmproj";
    case Errc::corrupt:
    case Errc::model_invalid: return "get the model's files again, whole and belonging together";
    case Errc::not_permitted: return "let this user read the file";
    default: return "see docs/models.md for what a model may be";
  }
}

Check check_model(std::string_view check, const Setting<std::string>& name, const ModelChoice& choice,
                  const Settings& settings, const Environment& environment) {
  bool demo_instead = false;
  const auto model = find_model(choice, settings.home, environment, [&](const std::string&) { demo_instead = true; });
  if (!model) return check_failed(check, model.error().message, mend_model(model.error(), name));
  if (demo_instead) {
    return check_warning(check,
                         fmt::format("{} is not on this machine; the demo model is used instead, which knows "
                                     "synthetic screens only",
                                     name.value),
                         fmt::format("copy or link its folder to {}, or choose another model with ESCRIBANO_VLM_MODEL "
                                     "(docs/models.md)",
                                     printable(settings.home / kDefaultModelFolder)));
  }
  const std::uint64_t needed = daemon_memory(model->info, daemon_setup(settings)).total_bytes();
  const std::optional<std::uint64_t> usable = engine_memory(settings.memory_limit_mb.value);
  if (usable && needed > *usable) {
    return check_warning(
        check,
        fmt::format("{}; it needs about {} of memory, and there are {}", model_sentence(*model), human_bytes(needed),
                    human_bytes(*usable)),
        "close other programs, lower ESCRIBANO_VLM_BATCH_SIZE, or choose a smaller or quantised model");
  }
  return check_ok(check, model_sentence(*model));
}

}  // namespace

Check check_machine() {
  const engine::LlamaSystem system = engine::llama_system();
  std::string found = fmt::format("{}, {} {}", system.processor.empty() ? "a processor" : system.processor,
                                  system.usable_processors, system.usable_processors == 1 ? "core" : "cores");
  if (!system.instructions.empty()) found += fmt::format(" ({})", fmt::join(system.instructions, ", "));
  found += system.gpus.empty() ? "; no GPU in use" : fmt::format("; GPU {}", fmt::join(system.gpus, ", "));
  const std::optional<Memory> memory = read_memory();
  if (!memory) return check_ok("machine", std::move(found));
  found += fmt::format("; {} of memory", human_bytes(memory->total_bytes));
  if (memory->available_bytes) found += fmt::format(", {} available", human_bytes(*memory->available_bytes));
  if (memory->usable_bytes() < kLittleMemory) {
    return check_warning("machine", std::move(found),
                         "that is little for a model of 2 billion weights: close other programs, or choose a "
                         "quantised one");
  }
  return check_ok("machine", std::move(found));
}

Check check_libraries() {
  const engine::LlamaSystem system = engine::llama_system();
  std::vector<std::string> versions = {fmt::format("llama.cpp {}", system.version),
                                       fmt::format("ggml {}", system.ggml_version), http_library_version()};
  for (std::string& version : image_library_versions()) versions.push_back(std::move(version));
  for (std::string& version : recording_library_versions()) versions.push_back(std::move(version));
  versions.push_back("SQLite " + sqlite_version());
  versions.push_back(fmt::format("nlohmann-json {}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                 NLOHMANN_JSON_VERSION_PATCH));
  return check_ok("libraries", fmt::format("{}", fmt::join(versions, ", ")));
}

Check check_configuration(const Result<Settings>& settings, const Environment& environment) {
  if (!settings) {
    return check_failed("configuration", settings.error().message, "correct the value named here, or take it away");
  }
  const std::filesystem::path& home = settings->home;
  if (const Status writable = can_write_into(home); !writable) {
    return check_failed("configuration",
                        fmt::format("models and state go to {}, but {}", printable(home), writable.error().message),
                        "set ESCRIBANO_HOME to a folder of yours, or change the permissions of this one");
  }
  const std::filesystem::path picture = self_check_picture(environment);
  std::error_code error;
  for (const std::filesystem::path& needed : {picture, assets_folder(environment) / "demo-model" / "config.json"}) {
    if (!std::filesystem::is_regular_file(needed, error)) {
      return check_failed("configuration", printable(needed) + ", which comes with the program, is missing",
                          "install the program again, or set ESCRIBANO_ASSETS to its assets folder");
    }
  }
  const bool has_file = std::filesystem::exists(home / "config.json", error);
  return check_ok("configuration", fmt::format("state in {}, {}; assets in {}", printable(home),
                                               has_file ? "with a config.json" : "no config.json there",
                                               printable(assets_folder(environment))));
}

bool own_vlm(const Settings& settings, bool in_process) {
  const bool foreign = !settings.bridge_command.value.empty() || !settings.bridge_script.value.empty();
  return settings.vlm.value == BackendKind::native && (in_process || !foreign);
}

Check check_vlm_model(const Settings& settings, const Environment& environment, const VlmArguments& arguments) {
  if (!own_vlm(settings, arguments.in_process)) return check_skipped("model", "frames are described by others");
  const ModelChoice choice = {
      .name = settings.vlm_model.value, .or_demo = settings.vlm_model.is_default(), .projector = arguments.projector};
  return check_model("model", settings.vlm_model, choice, settings, environment);
}

std::optional<Check> check_llm_model(const Settings& settings, const Environment& environment) {
  if (settings.llm.value != BackendKind::native || settings.llm_model.value.empty()) return std::nullopt;
  const ModelChoice choice = {.name = settings.llm_model.value, .needs_vision = false};
  return check_model("llm-model", settings.llm_model, choice, settings, environment);
}

}  // namespace escribano::cli
