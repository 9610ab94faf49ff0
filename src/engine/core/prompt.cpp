#include "engine/core/prompt.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

namespace escribano::engine {
namespace {

constexpr std::string_view kPlaceholder = "@escribano-content-";

// Joins neighbouring text before tokenising, as the reference tokeniser sees it: "user\n" and the text after it are one.
class PromptBuilder {
 public:
  explicit PromptBuilder(const Backend& backend) : backend_(backend) {}

  void text(std::string_view text) { pending_ += text; }

  Status mark(std::string_view name) {
    ESCRIBANO_CHECK(flush());
    ESCRIBANO_TRY(const std::vector<Token> tokens, backend_.tokenize(name, true));
    if (tokens.size() != 1) {
      return fail(Errc::unsupported, "the model's vocabulary has no {}, which its prompts need", name);
    }
    run_.push_back(tokens.front());
    return {};
  }

  Status image(ImagePart image) {
    ESCRIBANO_CHECK(mark("<|vision_start|>"));
    prompt_.pieces.emplace_back(std::move(run_));
    run_.clear();
    prompt_.pieces.emplace_back(image);
    return mark("<|vision_end|>");
  }

  // Text of ours or of the model's template: its marks are control tokens.
  Status marked_text(std::string_view text) {
    ESCRIBANO_CHECK(flush());
    return append(text, true);
  }

  Result<Prompt> finish() {
    ESCRIBANO_CHECK(flush());
    if (run_.empty()) return fail(Errc::invalid_argument, "the prompt is empty");
    prompt_.pieces.emplace_back(std::move(run_));
    // What a template writes at its beginning may be that token already.
    const std::optional<Token> first = backend_.first_token();
    auto* opening = std::get_if<std::vector<Token>>(&prompt_.pieces.front());
    if (first && opening->front() != *first) opening->insert(opening->begin(), *first);
    return std::move(prompt_);
  }

 private:
  Status flush() {
    const std::string text = std::exchange(pending_, {});
    return append(text, false);
  }

  Status append(std::string_view text, bool parse_special) {
    if (text.empty()) return {};
    ESCRIBANO_TRY(const std::vector<Token> tokens, backend_.tokenize(text, parse_special));
    run_.insert(run_.end(), tokens.begin(), tokens.end());
    return {};
  }

  const Backend& backend_;
  Prompt prompt_;
  std::string pending_;
  std::vector<Token> run_;
};

// ChatML, as llama.cpp recognises it: Phi-4 and SmolVLM use its marks in another way.
bool is_chatml(std::string_view chat_template) {
  const auto has = [&](std::string_view mark) { return chat_template.find(mark) != std::string_view::npos; };
  return chat_template.empty() || (has("<|im_start|>") && !has("<|im_sep|>") && !has("<end_of_utterance>"));
}

// What a ChatML template has the system say where a conversation does not begin with that, as Qwen2.5-VL's does, which
// never met a conversation without it in training; empty where it has none.
std::string_view usual_system_text(std::string_view chat_template) {
  constexpr std::string_view kOpening = "<|im_start|>system";
  for (std::size_t at = 0; (at = chat_template.find(kOpening, at)) != std::string_view::npos;) {
    at += kOpening.size();
    std::string_view text = chat_template.substr(at, chat_template.find("<|im_end|>", at) - at);
    if (text.starts_with("\n")) {
      text.remove_prefix(1);
    } else if (text.starts_with("\\n")) {
      text.remove_prefix(2);
    } else {
      continue;
    }
    // Not put together of parts.
    if (text.find_first_of("{}'\"<\\") == std::string_view::npos) return text;
  }
  return {};
}

Result<Prompt> build_chatml(const Backend& backend, std::span<const PromptMessage> messages, bool empty_thought) {
  PromptBuilder builder(backend);
  const std::string_view usual_system = usual_system_text(backend.chat_template());
  if (!usual_system.empty() && (messages.empty() || messages.front().role != "system")) {
    ESCRIBANO_CHECK(builder.mark("<|im_start|>"));
    builder.text(fmt::format("system\n{}", usual_system));
    ESCRIBANO_CHECK(builder.mark("<|im_end|>"));
    builder.text("\n");
  }
  for (const PromptMessage& message : messages) {
    ESCRIBANO_CHECK(builder.mark("<|im_start|>"));
    builder.text(message.role + "\n");
    for (const MessagePart& part : message.parts) {
      if (const auto* image = std::get_if<ImagePart>(&part)) {
        ESCRIBANO_CHECK(builder.image(*image));
      } else {
        builder.text(std::get<std::string>(part));
      }
    }
    ESCRIBANO_CHECK(builder.mark("<|im_end|>"));
    builder.text("\n");
  }
  ESCRIBANO_CHECK(builder.mark("<|im_start|>"));
  builder.text("assistant\n");
  if (empty_thought) ESCRIBANO_CHECK(builder.marked_text("<think>\n\n</think>\n\n"));
  return builder.finish();
}

// The template sees placeholders in place of the texts, so that its own marks can be told from marks in a text.
Result<Prompt> build_by_template(const Backend& backend, std::span<const PromptMessage> messages) {
  std::vector<ChatTurn> turns;
  std::vector<std::string> contents;
  for (const PromptMessage& message : messages) {
    std::string& content = contents.emplace_back();
    for (const MessagePart& part : message.parts) {
      if (std::holds_alternative<ImagePart>(part)) {
        return fail(Errc::unsupported,
                    "the model's chat template is not ChatML: it is not known where images go in it");
      }
      content += std::get<std::string>(part);
    }
    turns.push_back({.role = message.role, .content = fmt::format("{}{}@", kPlaceholder, turns.size())});
  }
  ESCRIBANO_TRY(const std::string formatted, backend.format_chat(turns));
  PromptBuilder builder(backend);
  const auto of_template = [&](std::string_view text) -> Status {
    if (text.find(kPlaceholder) != std::string_view::npos) {
      return fail(Errc::unsupported, "the model's chat template writes a message more than once");
    }
    return builder.marked_text(text);
  };
  std::string_view rest = formatted;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::size_t at = rest.find(turns[i].content);
    if (at == std::string_view::npos) {
      return fail(Errc::unsupported, "the model's chat template has no place for message {}, of role {}", i + 1,
                  turns[i].role);
    }
    ESCRIBANO_CHECK(of_template(rest.substr(0, at)));
    builder.text(contents[i]);
    rest.remove_prefix(at + turns[i].content.size());
  }
  ESCRIBANO_CHECK(of_template(rest));
  return builder.finish();
}

}  // namespace

int Prompt::text_tokens() const noexcept {
  std::size_t count = 0;
  for (const Piece& piece : pieces) {
    if (const auto* tokens = std::get_if<std::vector<Token>>(&piece)) count += tokens->size();
  }
  return static_cast<int>(count);
}

bool is_chat_role(std::string_view role) noexcept { return role == "system" || role == "user" || role == "assistant"; }

Result<Prompt> build_conversation(const Backend& backend, std::span<const PromptMessage> messages, bool think) {
  for (const PromptMessage& message : messages) {
    if (!is_chat_role(message.role)) {
      return fail(Errc::invalid_argument, "the role of a message is \"{}\"; it must be system, user or assistant",
                  message.role);
    }
  }
  const std::string_view chat_template = backend.chat_template();
  if (!is_chatml(chat_template)) return build_by_template(backend, messages);
  return build_chatml(backend, messages, !think && chat_template.find("enable_thinking") != std::string_view::npos);
}

Result<Prompt> build_user_turn(const Backend& backend, const std::vector<MessagePart>& parts) {
  return build_chatml(backend, std::vector<PromptMessage>{{.role = "user", .parts = parts}}, false);
}

Result<Prompt> build_formatted(const Backend& backend, std::string_view text) {
  PromptBuilder builder(backend);
  ESCRIBANO_CHECK(builder.marked_text(text));
  return builder.finish();
}

}  // namespace escribano::engine
