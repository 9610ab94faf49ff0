#include "models/hf_tokenizer.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "models/json_checks.h"

namespace escribano::models {
namespace {

using nlohmann::json;

constexpr std::uint64_t max_tokenizer_bytes = 64u << 20;
constexpr std::uint64_t max_template_bytes = 1u << 20;
constexpr std::size_t max_token_bytes = 1u << 14;

// The regular expression by which Qwen2's tokenizer cuts text into words, in the spellings that occur in the wild.
constexpr std::array<std::string_view, 2> qwen2_patterns = {
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
};

std::string shown(std::string_view text) { return to_valid_utf8(text.substr(0, 80)); }

bool is_type(const json& object, std::string_view type) {
  const auto found = object.find("type");
  return found != object.end() && found->is_string() && found->get_ref<const std::string&>() == type;
}

bool is_byte_level(const json& step) {
  return step.is_object() && is_type(step, "ByteLevel") && step.value("add_prefix_space", json(true)) == json(false) &&
         step.value("use_regex", json(true)) == json(false);
}

bool is_qwen2_split(const json& step) {
  if (!step.is_object() || !is_type(step, "Split") || step.value("behavior", json()) != json("Isolated") ||
      step.value("invert", json(false)) != json(false)) {
    return false;
  }
  const auto pattern = step.find("pattern");
  if (pattern == step.end() || !pattern->is_object()) return false;
  const json regex = pattern->value("Regex", json());
  return regex.is_string() && std::ranges::find(qwen2_patterns, regex.get<std::string>()) != qwen2_patterns.end();
}

Status check_pre_tokenizer(const JsonObject& tokenizer) {
  const json* pre = tokenizer.find("pre_tokenizer");
  if (pre != nullptr && pre->is_object() && is_type(*pre, "Sequence")) {
    const json steps = pre->value("pretokenizers", json());
    if (steps.is_array() && steps.size() == 2 && is_qwen2_split(steps[0]) && is_byte_level(steps[1])) return {};
  }
  return fail(Errc::unsupported,
              "{}: its pre-tokenizer is not Qwen2's; importing it would make the model read other tokens than it was "
              "trained with",
              tokenizer.where());
}

// What is done to text before and to tokens after the steps above. llama.cpp composes no Unicode, which matters for few
// texts only; whatever else a tokenizer does here would be lost.
Status check_surroundings(const JsonObject& tokenizer) {
  ESCRIBANO_TRY(const auto normalizer, tokenizer.optional_object("normalizer"));
  if (normalizer && *tokenizer.find("normalizer") != json{{"type", "NFC"}}) {
    return fail(Errc::unsupported, "{} is not supported", normalizer->where());
  }
  ESCRIBANO_TRY(const auto post_processor, tokenizer.optional_object("post_processor"));
  if (post_processor && !is_type(*tokenizer.find("post_processor"), "ByteLevel")) {
    return fail(Errc::unsupported, "{} is not supported: it may add tokens", post_processor->where());
  }
  return {};
}

Status check_model_kind(const JsonObject& model) {
  ESCRIBANO_TRY(const auto type, model.optional_string("type"));
  if (!type || *type != "BPE") {
    return fail(Errc::unsupported, "{}: only BPE tokenizers can be imported, this one is {}", model.where(),
                shown(type.value_or("of no stated type")));
  }
  for (const char* key : {"byte_fallback", "ignore_merges", "fuse_unk"}) {
    ESCRIBANO_TRY(const auto flag, model.optional_bool(key));
    if (flag.value_or(false)) return fail(Errc::unsupported, "{}: {} is not supported", model.where(), key);
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    ESCRIBANO_TRY(const auto affix, model.optional_string(key));
    if (affix && !affix->empty()) return fail(Errc::unsupported, "{}: {} is not supported", model.where(), key);
  }
  return {};
}

// Fills tokens and types by id, and keeps what the later parts look up.
class Vocabulary {
 public:
  Vocabulary(std::uint32_t size, std::string where) : where_(std::move(where)), present_(size), result_() {
    result_.tokens.resize(size);
    result_.types.assign(size, static_cast<std::int32_t>(TokenType::unused));
  }

  Status add_base(const json& vocab) {
    for (const auto& [text, id] : vocab.items()) ESCRIBANO_CHECK(add(text, id, TokenType::normal));
    return {};
  }

  Status add_extra(const json& list) {
    for (const json& entry : list) {
      if (!entry.is_object()) return fail(Errc::corrupt, "{}: added_tokens must hold objects", where_);
      const json text = entry.value("content", json());
      const json special = entry.value("special", json(false));
      if (!text.is_string() || !special.is_boolean()) {
        return fail(Errc::corrupt, "{}: an added token lacks its content", where_);
      }
      const auto& content = text.get_ref<const std::string&>();
      // llama.cpp matches control tokens only where the caller asks for it; "<|...|>" is markup in this family even
      // where it is not listed as special.
      const bool markup = content.starts_with("<|") && content.ends_with("|>");
      ESCRIBANO_CHECK(add(content, entry.value("id", json()),
                          special.get<bool>() || markup ? TokenType::control : TokenType::user_defined));
    }
    return {};
  }

  Status add_padding() {
    for (std::size_t id = 0; id < present_.size(); ++id) {
      if (present_[id]) continue;
      std::string text = fmt::format("[PAD{}]", id);
      if (!ids_.emplace(text, static_cast<std::uint32_t>(id)).second) {
        return fail(Errc::corrupt, "{}: the token {} stands where padding must go", where_, text);
      }
      result_.tokens[id] = std::move(text);
    }
    return {};
  }

  std::optional<std::uint32_t> find(const std::string& text) const {
    const auto found = ids_.find(text);
    if (found == ids_.end()) return std::nullopt;
    return found->second;
  }

  HfTokenizer& result() { return result_; }

 private:
  Status add(const std::string& text, const json& id_value, TokenType type) {
    if (!id_value.is_number_unsigned() || id_value.get<std::uint64_t>() >= present_.size()) {
      return fail(Errc::corrupt, "{}: the id of token {} is not below vocab_size ({})", where_, shown(text),
                  present_.size());
    }
    const auto id = id_value.get<std::uint32_t>();
    if (text.empty() || text.size() > max_token_bytes) {
      return fail(Errc::corrupt, "{}: token {} is empty or longer than {} bytes", where_, id, max_token_bytes);
    }
    // An added token may repeat an entry of the base vocabulary: then it only says more about it.
    if (present_[id] ? result_.tokens[id] != text : !ids_.emplace(text, id).second) {
      return fail(Errc::corrupt, "{}: token {} and id {} are taken by different entries", where_, shown(text), id);
    }
    present_[id] = true;
    result_.tokens[id] = text;
    result_.types[id] = static_cast<std::int32_t>(type);
    return {};
  }

  std::string where_;
  std::vector<bool> present_;
  std::unordered_map<std::string, std::uint32_t> ids_;
  HfTokenizer result_;
};

// Byte-level text has no spaces, and GGUF separates the halves of a merge by one: where a file has a space all the
// same, the byte-level letter for it is meant.
std::string byte_level(std::string_view part) {
  std::string out;
  for (const char c : part) {
    if (c == ' ')
      out += "\xC4\xA0";
    else
      out += c;
  }
  return out;
}

// Both spellings: "left right", and since transformers 4.45 ["left", "right"].
std::optional<std::pair<std::string, std::string>> merge_halves(const json& merge) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return std::pair(byte_level(merge[0].get<std::string>()), byte_level(merge[1].get<std::string>()));
  }
  if (!merge.is_string()) return std::nullopt;
  const auto& text = merge.get_ref<const std::string&>();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) return std::nullopt;
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

Status read_merges(const JsonObject& model, Vocabulary& vocabulary) {
  const json* merges = model.find("merges");
  if (merges == nullptr || !merges->is_array()) return fail(Errc::corrupt, "{}: merges is missing", model.where());
  std::vector<std::string>& out = vocabulary.result().merges;
  out.reserve(merges->size());
  for (const json& merge : *merges) {
    const auto halves = merge_halves(merge);
    if (!halves || !vocabulary.find(halves->first) || !vocabulary.find(halves->second) ||
        !vocabulary.find(halves->first + halves->second)) {
      return fail(Errc::corrupt, "{}: merge number {} is not two tokens that make a third", model.where(), out.size());
    }
    out.push_back(halves->first + " " + halves->second);
  }
  return {};
}

// A special token is written as its text or as an object with the text in it.
Result<std::optional<std::uint32_t>> named_token(const JsonObject& config, const char* key,
                                                 const Vocabulary& vocabulary) {
  const json* value = config.find(key);
  if (value != nullptr && value->is_object()) {
    const auto content = value->find("content");
    value = content == value->end() ? nullptr : &*content;
  }
  if (value == nullptr) return std::optional<std::uint32_t>();
  if (!value->is_string()) return fail(Errc::corrupt, "{}: {} must be a string", config.where(), key);
  const auto id = vocabulary.find(value->get<std::string>());
  if (!id) {
    return fail(Errc::corrupt, "{}: {} {} is not in the vocabulary", config.where(), key,
                shown(value->get<std::string>()));
  }
  return id;
}

Status read_special_tokens(const JsonObject& tokenizer_config, const HfConfig& config, Vocabulary& vocabulary) {
  HfTokenizer& out = vocabulary.result();
  ESCRIBANO_TRY(out.bos, named_token(tokenizer_config, "bos_token", vocabulary));
  ESCRIBANO_TRY(out.pad, named_token(tokenizer_config, "pad_token", vocabulary));
  ESCRIBANO_TRY(auto eos, named_token(tokenizer_config, "eos_token", vocabulary));
  if (!out.bos) out.bos = config.text.bos_token;
  if (!out.pad) out.pad = config.text.pad_token;
  if (!eos) eos = config.text.eos_token;
  if (!eos && !config.stop_tokens.empty()) eos = config.stop_tokens.front();
  if (!eos) return fail(Errc::corrupt, "{}: no end-of-text token is named anywhere", tokenizer_config.where());
  out.eos = *eos;
  for (const std::uint32_t stop : config.stop_tokens) {
    const std::string& text = out.tokens[stop];
    if (stop != out.eos && text != "<|im_end|>" && text != "<|endoftext|>") out.more_stops.push_back(stop);
  }
  ESCRIBANO_TRY(const auto add_bos, tokenizer_config.optional_bool("add_bos_token"));
  out.add_bos = add_bos.value_or(false);
  if (out.add_bos && !out.bos) {
    return fail(Errc::corrupt, "{}: add_bos_token without a bos_token", tokenizer_config.where());
  }
  return {};
}

// In the order of transformers: a file of its own wins over the entry in tokenizer_config.json.
Result<std::optional<std::string>> read_chat_template(const std::filesystem::path& folder,
                                                      const JsonObject& tokenizer_config) {
  auto jinja = read_text_file(folder / "chat_template.jinja", max_template_bytes);
  if (jinja) return std::optional<std::string>(*std::move(jinja));
  if (jinja.error().code != Errc::not_found) return fail(std::move(jinja).error());
  auto alone = read_json_object(folder / "chat_template.json", max_template_bytes);
  if (alone) return JsonObject(*alone, printable(folder / "chat_template.json")).optional_string("chat_template");
  if (alone.error().code != Errc::not_found) return fail(std::move(alone).error());

  const json* value = tokenizer_config.find("chat_template");
  if (value == nullptr || !value->is_array()) return tokenizer_config.optional_string("chat_template");
  for (const json& named : *value) {
    if (named.is_object() && named.value("name", json()) == json("default")) {
      return JsonObject(named, tokenizer_config.where() + ": chat_template").optional_string("template");
    }
  }
  return std::optional<std::string>();
}

Result<json> read_tokenizer_config(const std::filesystem::path& folder) {
  auto document = read_json_object(folder / "tokenizer_config.json", max_tokenizer_bytes);
  if (!document && document.error().code == Errc::not_found) return json(json::object());
  return document;
}

}  // namespace

Result<HfTokenizer> read_hf_tokenizer(const std::filesystem::path& folder, const HfConfig& config) {
  const std::filesystem::path path = folder / "tokenizer.json";
  auto document = read_json_object(path, max_tokenizer_bytes);
  if (!document && document.error().code == Errc::not_found) {
    return fail(Errc::not_found, "{} has no tokenizer.json", printable(folder));
  }
  if (!document) return fail(std::move(document).error());
  const JsonObject tokenizer(*document, printable(path));
  ESCRIBANO_TRY(const JsonObject model, tokenizer.required_object("model"));
  ESCRIBANO_CHECK(check_model_kind(model));
  ESCRIBANO_CHECK(check_pre_tokenizer(tokenizer));
  ESCRIBANO_CHECK(check_surroundings(tokenizer));

  Vocabulary vocabulary(config.text.vocab_size, printable(path));
  const json* base = model.find("vocab");
  if (base == nullptr || !base->is_object()) return fail(Errc::corrupt, "{}: vocab is missing", model.where());
  ESCRIBANO_CHECK(vocabulary.add_base(*base));
  if (const json* extra = tokenizer.find("added_tokens"); extra != nullptr) {
    if (!extra->is_array()) return fail(Errc::corrupt, "{}: added_tokens must be a list", printable(path));
    ESCRIBANO_CHECK(vocabulary.add_extra(*extra));
  }
  ESCRIBANO_CHECK(vocabulary.add_padding());
  ESCRIBANO_CHECK(read_merges(model, vocabulary));

  ESCRIBANO_TRY(const json config_document, read_tokenizer_config(folder));
  const JsonObject tokenizer_config(config_document, printable(folder / "tokenizer_config.json"));
  ESCRIBANO_CHECK(read_special_tokens(tokenizer_config, config, vocabulary));
  ESCRIBANO_TRY(vocabulary.result().chat_template, read_chat_template(folder, tokenizer_config));
  return std::move(vocabulary.result());
}

}  // namespace escribano::models
