#include "engine/core/prompt.h"

#include <utility>

namespace escribano::engine {
namespace {

// Joins neighbouring text before tokenising, as the reference tokeniser sees it: "user\n" and the text after it are one.
class PromptBuilder {
 public:
  explicit PromptBuilder(const Backend& backend) : backend_(backend) {}

  void text(std::string_view text) { pending_ += text; }

  Status mark(std::string_view name) {
    ESCRIBANO_CHECK(flush());
    ESCRIBANO_TRY(const std::vector<Token> tokens, backend_.tokenize(name, true));
    if (tokens.size() != 1) {
      return fail(Errc::unsupported, "the model's vocabulary has no {}; it is not of the Qwen-VL family", name);
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

  Result<Prompt> finish() {
    ESCRIBANO_CHECK(flush());
    prompt_.pieces.emplace_back(std::move(run_));
    return std::move(prompt_);
  }

 private:
  Status flush() {
    if (pending_.empty()) return {};
    ESCRIBANO_TRY(const std::vector<Token> tokens, backend_.tokenize(pending_, false));
    run_.insert(run_.end(), tokens.begin(), tokens.end());
    pending_.clear();
    return {};
  }

  const Backend& backend_;
  Prompt prompt_;
  std::string pending_;
  std::vector<Token> run_;
};

}  // namespace

int Prompt::text_tokens() const noexcept {
  std::size_t count = 0;
  for (const Piece& piece : pieces) {
    if (const auto* tokens = std::get_if<std::vector<Token>>(&piece)) count += tokens->size();
  }
  return static_cast<int>(count);
}

Result<Prompt> build_user_turn(const Backend& backend, const std::vector<MessagePart>& parts) {
  PromptBuilder builder(backend);
  ESCRIBANO_CHECK(builder.mark("<|im_start|>"));
  builder.text("user\n");
  for (const MessagePart& part : parts) {
    if (const auto* image = std::get_if<ImagePart>(&part)) {
      ESCRIBANO_CHECK(builder.image(*image));
    } else {
      builder.text(std::get<std::string>(part));
    }
  }
  ESCRIBANO_CHECK(builder.mark("<|im_end|>"));
  builder.text("\n");
  ESCRIBANO_CHECK(builder.mark("<|im_start|>"));
  builder.text("assistant\n");
  return builder.finish();
}

}  // namespace escribano::engine
