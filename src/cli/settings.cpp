#include "cli/settings.h"

#include <charconv>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace escribano::cli {
namespace {

constexpr int kMaxBatchSize = 255;
constexpr int kMaxTokens = 1'000'000;
constexpr int kMaxTimeout_ms = 3'600'000;
constexpr int kMaxLogBytes = 1 << 30;

using Json = nlohmann::json;

template <class T>
struct Choice {
  std::string_view name;
  T value;
};
constexpr Choice<BackendKind> kBackends[] = {
    {"native", BackendKind::native}, {"ollama", BackendKind::ollama}, {"openai", BackendKind::openai}};
constexpr Choice<bool> kFlags[] = {{"true", true}, {"1", true}, {"false", false}, {"0", false}, {"", false}};

std::string shown(std::string_view text) { return printable(std::filesystem::path(text)); }

Result<int> parse_int(std::string_view text, int low, int high, std::string_view name) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return fail(Errc::invalid_argument, "{} is '{}'; it must be a whole number from {} to {}", name, shown(text), low,
                high);
  }
  return value;
}

// Reads one setting after the other: its key in the file, then its variable.
class Reader {
 public:
  Reader(const Environment& environment, Json config, std::string file)
      : environment_(environment), config_(std::move(config)), file_(std::move(file)) {}

  Status number(Setting<int>& setting, std::string_view variable, int low, int high) {
    const std::string key = key_of(variable);
    if (config_.contains(key)) {
      const Json& value = config_[key];
      if (!value.is_number_integer()) {
        return fail(Errc::invalid_argument, "{} in {} must be a whole number from {} to {}", key, file_, low, high);
      }
      ESCRIBANO_TRY(const int number, parse_int(value.dump(), low, high, fmt::format("{} in {}", key, file_)));
      setting.set(number, file_);
    }
    const auto text = environment_(variable);
    if (!text) return {};
    ESCRIBANO_TRY(const int number, parse_int(*text, low, high, variable));
    setting.set(number, std::string(variable));
    return {};
  }

  // An empty variable counts as not set.
  Status text(Setting<std::string>& setting, std::string_view variable, std::string_view what) {
    const std::string key = key_of(variable);
    if (config_.contains(key)) {
      if (!config_[key].is_string() || config_[key].get<std::string>().empty()) {
        return fail(Errc::invalid_argument, "{} in {} must be {}", key, file_, what);
      }
      setting.set(config_[key].get<std::string>(), file_);
    }
    if (auto value = environment_(variable); value && !value->empty()) {
      setting.set(*std::move(value), std::string(variable));
    }
    return {};
  }

  Status flag(Setting<bool>& setting, std::string_view variable) {
    const std::string key = key_of(variable);
    if (config_.contains(key)) {
      if (!config_[key].is_boolean()) {
        return fail(Errc::invalid_argument, "{} in {} must be true or false", key, file_);
      }
      setting.set(config_[key].get<bool>(), file_);
    }
    const auto value = environment_(variable);
    if (!value) return {};
    for (const auto& choice : kFlags) {
      if (choice.name != *value) continue;
      setting.set(choice.value, std::string(variable));
      return {};
    }
    return fail(Errc::invalid_argument, "{} is '{}'; it must be true or false", variable, shown(*value));
  }

  Status backend(Setting<BackendKind>& setting, std::string_view variable) {
    Setting<std::string> name;
    ESCRIBANO_CHECK(text(name, variable, "native, ollama or openai"));
    if (name.is_default()) return {};
    const auto kind = backend_kind(name.value);
    if (!kind) {
      const std::string where = name.source == variable ? name.source : key_of(variable) + " in " + file_;
      return fail(Errc::invalid_argument, "{} is '{}'; it must be native, ollama or openai", where, shown(name.value));
    }
    setting.set(*kind, name.source);
    return {};
  }

 private:
  static std::string key_of(std::string_view variable) {
    std::string key(variable.substr(std::string_view("ESCRIBANO_").size()));
    for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    return key;
  }

  const Environment& environment_;
  Json config_;
  std::string file_;
};

Result<Json> read_config_file(const std::filesystem::path& path) {
  auto text = read_text_file(path, 1 << 20);
  if (!text) {
    if (text.error().code == Errc::not_found) return Json::object();
    return fail(text.error());
  }
  Json config = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return fail(Errc::invalid_argument, "{} is not a JSON object", printable(path));
  return config;
}

Status read_all(Reader& reader, Settings& settings) {
  ESCRIBANO_CHECK(reader.text(settings.vlm_model, "ESCRIBANO_VLM_MODEL", "a model name"));
  ESCRIBANO_CHECK(reader.number(settings.vlm_batch_size, "ESCRIBANO_VLM_BATCH_SIZE", 1, kMaxBatchSize));
  ESCRIBANO_CHECK(reader.number(settings.vlm_max_tokens, "ESCRIBANO_VLM_MAX_TOKENS", 1, kMaxTokens));
  ESCRIBANO_CHECK(reader.backend(settings.vlm, "ESCRIBANO_VLM"));
  ESCRIBANO_CHECK(reader.backend(settings.llm, "ESCRIBANO_LLM"));
  ESCRIBANO_CHECK(reader.text(settings.llm_model, "ESCRIBANO_LLM_MODEL", "a model name"));
  ESCRIBANO_CHECK(reader.text(settings.ollama_url, "ESCRIBANO_OLLAMA_URL", "a URL"));
  ESCRIBANO_CHECK(reader.text(settings.openai_url, "ESCRIBANO_OPENAI_URL", "a URL"));
  ESCRIBANO_CHECK(reader.text(settings.openai_api_key, "ESCRIBANO_OPENAI_API_KEY", "a key"));
  ESCRIBANO_CHECK(reader.text(settings.mlx_socket_path, "ESCRIBANO_MLX_SOCKET_PATH", "a path"));
  ESCRIBANO_CHECK(reader.number(settings.mlx_startup_timeout, "ESCRIBANO_MLX_STARTUP_TIMEOUT", 1, kMaxTimeout_ms));
  ESCRIBANO_CHECK(reader.text(settings.mlx_log_file, "ESCRIBANO_MLX_LOG_FILE", "a path"));
  ESCRIBANO_CHECK(reader.number(settings.log_max_bytes, "ESCRIBANO_LOG_MAX_BYTES", 1024, kMaxLogBytes));
  ESCRIBANO_CHECK(reader.text(settings.bridge_command, "ESCRIBANO_BRIDGE_COMMAND", "a command"));
  ESCRIBANO_CHECK(reader.text(settings.python_path, "ESCRIBANO_PYTHON_PATH", "a path"));
  ESCRIBANO_CHECK(reader.text(settings.bridge_script, "ESCRIBANO_BRIDGE_SCRIPT", "a path"));
  return reader.flag(settings.verbose, "ESCRIBANO_VERBOSE");
}

}  // namespace

std::string_view backend_name(BackendKind kind) noexcept {
  for (const auto& choice : kBackends) {
    if (choice.value == kind) return choice.name;
  }
  return "native";
}

std::optional<BackendKind> backend_kind(std::string_view name) noexcept {
  for (const auto& choice : kBackends) {
    if (choice.name == name) return choice.value;
  }
  return std::nullopt;
}

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
  const std::filesystem::path file = settings.home / "config.json";
  ESCRIBANO_TRY(Json config, read_config_file(file));
  Reader reader(environment, std::move(config), printable(file));
  ESCRIBANO_CHECK(read_all(reader, settings));
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

std::filesystem::path self_check_picture(const Environment& environment) {
  return assets_folder(environment) / "samples" / "frames" / "session-a-006.0s.jpg";
}

}  // namespace escribano::cli
