#include "cli/settings.h"

#include <charconv>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace escribano::cli {
namespace {

constexpr int kMaxBatchSize = 255;
constexpr int kMaxTokens = 1'000'000;

using Json = nlohmann::json;

Result<int> checked(int value, int high, std::string_view name) {
  if (value < 1 || value > high) {
    return fail(Errc::invalid_argument, "{} is {}; it must be a whole number from 1 to {}", name, value, high);
  }
  return value;
}

Result<int> parse_int(std::string_view text, int high, std::string_view name) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Errc::invalid_argument, "{} is '{}'; it must be a whole number from 1 to {}", name,
                printable(std::filesystem::path(text)), high);
  }
  return checked(value, high, name);
}

Result<bool> parse_bool(std::string_view text, std::string_view name) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0" || text.empty()) return false;
  return fail(Errc::invalid_argument, "{} is '{}'; it must be true or false", name,
              printable(std::filesystem::path(text)));
}

Status read_config_int(const Json& config, const char* key, int high, const std::string& file, Setting<int>& setting) {
  if (!config.contains(key)) return {};
  const Json& value = config[key];
  const std::string name = fmt::format("{} in {}", key, file);
  if (!value.is_number_integer()) {
    return fail(Errc::invalid_argument, "{} must be a whole number from 1 to {}", name, high);
  }
  const auto wide = value.get<std::int64_t>();
  ESCRIBANO_TRY(const int checked_value,
                checked(static_cast<int>(std::clamp<std::int64_t>(wide, -1, high + 1L)), high, name));
  setting.set(checked_value, file);
  return {};
}

Status read_config_file(const std::filesystem::path& path, Settings& settings) {
  auto text = read_text_file(path, 1 << 20);
  if (!text) {
    if (text.error().code == Errc::not_found) return {};
    return fail(text.error());
  }
  const Json config = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const std::string file = printable(path);
  if (!config.is_object()) return fail(Errc::invalid_argument, "{} is not a JSON object", file);
  if (config.contains("vlm_model")) {
    if (!config["vlm_model"].is_string() || config["vlm_model"].get<std::string>().empty()) {
      return fail(Errc::invalid_argument, "vlm_model in {} must be a model name", file);
    }
    settings.vlm_model.set(config["vlm_model"].get<std::string>(), file);
  }
  ESCRIBANO_CHECK(read_config_int(config, "vlm_batch_size", kMaxBatchSize, file, settings.vlm_batch_size));
  ESCRIBANO_CHECK(read_config_int(config, "vlm_max_tokens", kMaxTokens, file, settings.vlm_max_tokens));
  if (config.contains("verbose")) {
    if (!config["verbose"].is_boolean())
      return fail(Errc::invalid_argument, "verbose in {} must be true or false", file);
    settings.verbose.set(config["verbose"].get<bool>(), file);
  }
  return {};
}

Status read_environment(const Environment& environment, Settings& settings) {
  if (const auto model = environment("ESCRIBANO_VLM_MODEL"); model && !model->empty()) {
    settings.vlm_model.set(*model, "ESCRIBANO_VLM_MODEL");
  }
  const auto read_int = [&](const char* name, int high, Setting<int>& setting) -> Status {
    const auto text = environment(name);
    if (!text) return {};
    ESCRIBANO_TRY(const int value, parse_int(*text, high, name));
    setting.set(value, name);
    return {};
  };
  ESCRIBANO_CHECK(read_int("ESCRIBANO_VLM_BATCH_SIZE", kMaxBatchSize, settings.vlm_batch_size));
  ESCRIBANO_CHECK(read_int("ESCRIBANO_VLM_MAX_TOKENS", kMaxTokens, settings.vlm_max_tokens));
  if (const auto text = environment("ESCRIBANO_VERBOSE")) {
    ESCRIBANO_TRY(const bool verbose, parse_bool(*text, "ESCRIBANO_VERBOSE"));
    settings.verbose.set(verbose, "ESCRIBANO_VERBOSE");
  }
  return {};
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<Settings> Settings::read(const Environment& environment) {
  Settings settings;
  if (const auto home = environment("ESCRIBANO_HOME"); home && !home->empty()) {
    settings.home = *home;
  } else if (const auto user_home = environment("HOME"); user_home && !user_home->empty()) {
    settings.home = std::filesystem::path(*user_home) / ".escribano";
  } else {
    return fail(Errc::invalid_argument,
                "neither ESCRIBANO_HOME nor HOME is set: there is no place for models and state");
  }
  ESCRIBANO_CHECK(read_config_file(settings.home / "config.json", settings));
  ESCRIBANO_CHECK(read_environment(environment, settings));
  return settings;
}

std::filesystem::path assets_folder(const Environment& environment) {
  if (const auto folder = environment("ESCRIBANO_ASSETS"); folder && !folder->empty()) return *folder;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    std::filesystem::path installed = program.parent_path().parent_path() / "share" / "escribano";
    if (std::filesystem::is_directory(installed, error)) return installed;
  }
  return ESCRIBANO_SOURCE_ASSETS;
}

}  // namespace escribano::cli
