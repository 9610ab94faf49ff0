#include "cli/settings.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/own_program.h"

namespace escribano::cli {
namespace {

constexpr int kMaxBatchSize = 255;
constexpr int kMaxTokens = 1'000'000;
constexpr int kMaxTimeout_ms = 3'600'000;
constexpr int kMaxLogBytes = 1 << 30;
constexpr int kMaxCache_mb = 1 << 20;
constexpr int kMaxMemory_mb = 1 << 24;
constexpr int kMaxAttempts = 100;
constexpr double kDay_s = 86'400;
constexpr std::size_t kShownKeyBytes = 64;  // of a key that is no setting

using Json = nlohmann::json;

template <class T>
struct Choice {
  std::string_view name;
  T value;
};
constexpr Choice<BackendKind> kBackends[] = {{"native", BackendKind::native},
                                             {"ollama", BackendKind::ollama},
                                             {"openai", BackendKind::openai},
                                             {"none", BackendKind::none}};
constexpr Choice<ReuseKind> kReuseKinds[] = {
    {"none", ReuseKind::none}, {"embeddings", ReuseKind::embeddings}, {"all", ReuseKind::all}};
constexpr Choice<engine::Precision> kPrecisions[] = {
    {precision_name(engine::Precision::exact), engine::Precision::exact},
    {precision_name(engine::Precision::bf16), engine::Precision::bf16},
    {precision_name(engine::Precision::int8), engine::Precision::int8}};
constexpr Choice<PatchKind> kPatchKinds[] = {{"all", PatchKind::all}, {"changed", PatchKind::changed}};
const Choice<UnchangedRule> kUnchangedRules[] = {{unchanged_rule_name(UnchangedRule::none), UnchangedRule::none},
                                                 {unchanged_rule_name(UnchangedRule::exact), UnchangedRule::exact},
                                                 {unchanged_rule_name(UnchangedRule::still), UnchangedRule::still},
                                                 {unchanged_rule_name(UnchangedRule::similar), UnchangedRule::similar}};
const Choice<ArtefactFormat> kArtefactFormats[] = {
    {artefact_format_name(ArtefactFormat::card), ArtefactFormat::card},
    {artefact_format_name(ArtefactFormat::standup), ArtefactFormat::standup},
    {artefact_format_name(ArtefactFormat::narrative), ArtefactFormat::narrative}};
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

Result<double> parse_real(std::string_view text, double low, double high, std::string_view name) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= low && value <= high)) {
    return fail(Errc::invalid_argument, "{} is '{}'; it must be a number from {} to {}", name, shown(text), low, high);
  }
  return value;
}

// "native, ollama or openai"
template <class T>
std::string names_of(std::span<const Choice<T>> choices) {
  std::string names;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) names += i + 1 == choices.size() ? " or " : ", ";
    names += choices[i].name;
  }
  return names;
}

template <class T>
std::string_view name_in(std::span<const Choice<T>> choices, T value) {
  for (const auto& choice : choices) {
    if (choice.value == value) return choice.name;
  }
  return "?";
}

// The parts between commas, without spaces around them; empty ones are left out.
std::vector<std::string> parts_of(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

std::string key_of(std::string_view variable) {
  std::string key(variable.substr(std::string_view("ESCRIBANO_").size()));
  for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return key;
}

// How many bytes have to be inserted, removed or replaced to make `b` of `a` (Levenshtein's distance).
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // from the first bytes of a to the first i of b
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t n = 1; n <= a.size(); ++n) {
    std::size_t diagonal = std::exchange(row[0], n);
    for (std::size_t i = 1; i <= b.size(); ++i) {
      const std::size_t replaced = diagonal + (a[n - 1] == b[i - 1] ? 0 : 1);
      diagonal = std::exchange(row[i], std::min({row[i] + 1, row[i - 1] + 1, replaced}));
    }
  }
  return row.back();
}

// Reads one setting after the other: its key in the file, then its variable.
class Reader {
 public:
  Reader(const Environment& environment, Json config, std::string file)
      : environment_(environment), config_(std::move(config)), file_(std::move(file)) {}

  // Called last: a key that nobody has read is a slip of the pen, and its setting would silently be the default.
  Status check_keys() const {
    for (const auto& [key, value] : config_.items()) {
      if (known_.contains(key)) continue;
      const std::string_view start = std::string_view(key).substr(0, kShownKeyBytes);
      const auto alike = std::min_element(known_.begin(), known_.end(), [start](const auto& a, const auto& b) {
        return edits_between(start, a) < edits_between(start, b);
      });
      return fail(Errc::invalid_argument, "'{}' in {} is no setting; the one most like it is {}", shown(start), file_,
                  *alike);
    }
    return {};
  }

  Status number(Setting<int>& setting, std::string_view variable, int low, int high) {
    const std::string key = known_key(variable);
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
    const std::string key = known_key(variable);
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
    const std::string key = known_key(variable);
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

  Status real(Setting<double>& setting, std::string_view variable, double low, double high) {
    const std::string key = known_key(variable);
    if (config_.contains(key)) {
      const Json& value = config_[key];
      if (!value.is_number()) {
        return fail(Errc::invalid_argument, "{} in {} must be a number from {} to {}", key, file_, low, high);
      }
      ESCRIBANO_TRY(const double number, parse_real(value.dump(), low, high, fmt::format("{} in {}", key, file_)));
      setting.set(number, file_);
    }
    const auto text = environment_(variable);
    if (!text) return {};
    ESCRIBANO_TRY(const double number, parse_real(*text, low, high, variable));
    setting.set(number, std::string(variable));
    return {};
  }

  template <class T>
  Status choice(Setting<T>& setting, std::string_view variable, std::span<const Choice<T>> choices) {
    Setting<std::string> name;
    ESCRIBANO_CHECK(text(name, variable, names_of(choices)));
    if (name.is_default()) return {};
    for (const auto& choice : choices) {
      if (choice.name != name.value) continue;
      setting.set(choice.value, name.source);
      return {};
    }
    const std::string where = name.source == variable ? name.source : key_of(variable) + " in " + file_;
    return fail(Errc::invalid_argument, "{} is '{}'; it must be {}", where, shown(name.value), names_of(choices));
  }

  Status list(Setting<std::vector<std::string>>& setting, std::string_view variable) {
    const std::string key = known_key(variable);
    if (config_.contains(key)) {
      const Json& value = config_[key];
      const auto is_text = [](const Json& item) { return item.is_string(); };
      if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) {
        return fail(Errc::invalid_argument, "{} in {} must be a list of texts", key, file_);
      }
      setting.set(value.get<std::vector<std::string>>(), file_);
    }
    if (const auto text = environment_(variable)) setting.set(parts_of(*text), std::string(variable));
    return {};
  }

  Status secret(Setting<std::string>& setting, std::string_view variable, std::string_view what) {
    return text(setting, variable, what);
  }

 private:
  std::string known_key(std::string_view variable) { return *known_.insert(key_of(variable)).first; }

  const Environment& environment_;
  Json config_;
  std::string file_;
  std::set<std::string> known_;
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

// Every setting in its order, for what reads them and what lists them.
template <class Visitor, class AnySettings>
Status visit(Visitor& visitor, AnySettings& settings) {
  const std::span<const Choice<BackendKind>> llms(kBackends);
  const auto vlms = llms.first(3);  // without "none"
  ESCRIBANO_CHECK(visitor.text(settings.vlm_model, "ESCRIBANO_VLM_MODEL", "a model name"));
  ESCRIBANO_CHECK(visitor.number(settings.vlm_batch_size, "ESCRIBANO_VLM_BATCH_SIZE", 1, kMaxBatchSize));
  ESCRIBANO_CHECK(visitor.number(settings.vlm_max_tokens, "ESCRIBANO_VLM_MAX_TOKENS", 1, kMaxTokens));
  ESCRIBANO_CHECK(visitor.flag(settings.drafts, "ESCRIBANO_DRAFTS"));
  ESCRIBANO_CHECK(visitor.choice(settings.vlm, "ESCRIBANO_VLM", vlms));
  ESCRIBANO_CHECK(visitor.choice(settings.llm, "ESCRIBANO_LLM", llms));
  ESCRIBANO_CHECK(visitor.text(settings.llm_model, "ESCRIBANO_LLM_MODEL", "a model name"));
  ESCRIBANO_CHECK(visitor.text(settings.ollama_url, "ESCRIBANO_OLLAMA_URL", "a URL"));
  ESCRIBANO_CHECK(visitor.text(settings.openai_url, "ESCRIBANO_OPENAI_URL", "a URL"));
  ESCRIBANO_CHECK(visitor.secret(settings.openai_api_key, "ESCRIBANO_OPENAI_API_KEY", "a key"));
  ESCRIBANO_CHECK(visitor.text(settings.mlx_socket_path, "ESCRIBANO_MLX_SOCKET_PATH", "a path"));
  ESCRIBANO_CHECK(visitor.number(settings.mlx_startup_timeout, "ESCRIBANO_MLX_STARTUP_TIMEOUT", 1, kMaxTimeout_ms));
  ESCRIBANO_CHECK(visitor.text(settings.mlx_log_file, "ESCRIBANO_MLX_LOG_FILE", "a path"));
  ESCRIBANO_CHECK(visitor.number(settings.log_max_bytes, "ESCRIBANO_LOG_MAX_BYTES", 1024, kMaxLogBytes));
  ESCRIBANO_CHECK(visitor.text(settings.bridge_command, "ESCRIBANO_BRIDGE_COMMAND", "a command"));
  ESCRIBANO_CHECK(visitor.text(settings.python_path, "ESCRIBANO_PYTHON_PATH", "a path"));
  ESCRIBANO_CHECK(visitor.text(settings.bridge_script, "ESCRIBANO_BRIDGE_SCRIPT", "a path"));
  ESCRIBANO_CHECK(visitor.choice(settings.reuse, "ESCRIBANO_REUSE", std::span<const Choice<ReuseKind>>(kReuseKinds)));
  ESCRIBANO_CHECK(visitor.number(settings.embedding_cache_mb, "ESCRIBANO_EMBEDDING_CACHE_MB", 0, kMaxCache_mb));
  ESCRIBANO_CHECK(visitor.number(settings.memory_limit_mb, "ESCRIBANO_MEMORY_LIMIT_MB", 0, kMaxMemory_mb));
  ESCRIBANO_CHECK(visitor.real(settings.sample_interval, "ESCRIBANO_SAMPLE_INTERVAL", 0.1, kDay_s));
  ESCRIBANO_CHECK(visitor.real(settings.sample_gap_threshold, "ESCRIBANO_SAMPLE_GAP_THRESHOLD", 0.1, kDay_s));
  ESCRIBANO_CHECK(visitor.real(settings.sample_gap_fill, "ESCRIBANO_SAMPLE_GAP_FILL", 0.1, kDay_s));
  ESCRIBANO_CHECK(visitor.real(settings.scene_threshold, "ESCRIBANO_SCENE_THRESHOLD", 0, 1));
  ESCRIBANO_CHECK(visitor.real(settings.scene_min_interval, "ESCRIBANO_SCENE_MIN_INTERVAL", 0, kDay_s));
  ESCRIBANO_CHECK(visitor.choice(settings.unchanged, "ESCRIBANO_UNCHANGED",
                                 std::span<const Choice<UnchangedRule>>(kUnchangedRules)));
  ESCRIBANO_CHECK(visitor.real(settings.min_segment_s, "ESCRIBANO_MIN_SEGMENT_S", 0, kDay_s));
  ESCRIBANO_CHECK(visitor.number(settings.max_attempts, "ESCRIBANO_MAX_ATTEMPTS", 1, kMaxAttempts));
  ESCRIBANO_CHECK(visitor.list(settings.exclude_apps, "ESCRIBANO_EXCLUDE_APPS"));
  ESCRIBANO_CHECK(visitor.choice(settings.artefact_format, "ESCRIBANO_ARTEFACT_FORMAT",
                                 std::span<const Choice<ArtefactFormat>>(kArtefactFormats)));
  ESCRIBANO_CHECK(visitor.flag(settings.kernels, "ESCRIBANO_KERNELS"));
  ESCRIBANO_CHECK(
      visitor.choice(settings.products, "ESCRIBANO_PRODUCTS", std::span<const Choice<engine::Precision>>(kPrecisions)));
  ESCRIBANO_CHECK(
      visitor.choice(settings.patches, "ESCRIBANO_PATCHES", std::span<const Choice<PatchKind>>(kPatchKinds)));
  return visitor.flag(settings.verbose, "ESCRIBANO_VERBOSE");
}

// Lists what visit() shows it. Nothing here fails.
class Lister {
 public:
  Status text(const Setting<std::string>& setting, std::string_view variable, std::string_view) {
    return add(variable, setting.value, setting.source);
  }
  Status secret(const Setting<std::string>& setting, std::string_view variable, std::string_view) {
    return add(variable, setting.value.empty() ? "" : "(set)", setting.source);
  }
  Status number(const Setting<int>& setting, std::string_view variable, int, int) {
    return add(variable, std::to_string(setting.value), setting.source);
  }
  Status real(const Setting<double>& setting, std::string_view variable, double, double) {
    return add(variable, fmt::format("{}", setting.value), setting.source);
  }
  Status flag(const Setting<bool>& setting, std::string_view variable) {
    return add(variable, setting.value ? "true" : "false", setting.source);
  }
  Status list(const Setting<std::vector<std::string>>& setting, std::string_view variable) {
    return add(variable, fmt::format("{}", fmt::join(setting.value, ", ")), setting.source);
  }
  template <class T>
  Status choice(const Setting<T>& setting, std::string_view variable, std::span<const Choice<T>> choices) {
    return add(variable, std::string(name_in(choices, setting.value)), setting.source);
  }

  std::vector<SettingRow> rows;

 private:
  Status add(std::string_view variable, std::string value, std::string_view source) {
    rows.push_back({key_of(variable), std::string(variable), std::move(value), std::string(source)});
    return {};
  }
};

}  // namespace

std::string_view backend_name(BackendKind kind) noexcept {
  return name_in(std::span<const Choice<BackendKind>>(kBackends), kind);
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
  const std::filesystem::path file = settings.config_file();
  ESCRIBANO_TRY(Json config, read_config_file(file));
  Reader reader(environment, std::move(config), printable(file));
  ESCRIBANO_CHECK(visit(reader, settings));
  ESCRIBANO_CHECK(reader.check_keys());
  return settings;
}

std::vector<SettingRow> Settings::rows() const {
  Lister lister;
  (void)visit(lister, *this);
  return std::move(lister.rows);
}

std::filesystem::path assets_folder(const Environment& environment) {
  if (const auto folder = environment("ESCRIBANO_ASSETS"); folder && !folder->empty()) return *folder;
  return own_program().parent_path().parent_path() / "share" / "escribano";
}

std::filesystem::path self_check_picture(const Environment& environment) {
  return assets_folder(environment) / "samples" / "frames" / "session-a-006.0s.jpg";
}

}  // namespace escribano::cli
