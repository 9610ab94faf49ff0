#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/backend.h"

namespace escribano::engine {

// What happens in a FakeBackend, for tests to look at and to steer; shared because the engine owns the backend.
struct FakeScript {
  // The answer to a prompt, from the numbers of its images (pictures made by numbered_image) and its text, in which a
  // control token is written as {im_start}: nothing that a test writes looks like that.
  std::function<std::string(const std::vector<int>& images, const std::string& text)> answer;
  // Called on the engine thread before an encode, prefill or decode has an effect; returning an error makes it fail.
  std::function<Status(std::string_view step)> before_step = [](std::string_view) { return Status(); };

  // Called on a worker thread for every image.
  std::function<void()> before_prepare = [] {};
  // Constant while the engine runs.
  bool has_vision = true;
  double step_cost_rows = 3;
  std::string chat_template;         // kTurnTemplate, or of no kind known, or empty
  std::optional<Token> first_token;  // kBegin, or none
  std::function<Status(int slots, int context_tokens)> before_reshape = [](int, int) { return Status(); };

  std::mutex mutex;
  std::vector<std::pair<int, int>> reshapes;   // slots and context tokens of those that were done
  std::vector<int> encoded;                    // image numbers in the order in which they were encoded
  std::vector<std::size_t> decode_row_counts;  // of every decode step
  std::vector<std::string> violations;         // of the contract of Backend
};

// A token as FakeScript::answer sees it.
std::string shown_token(Token token);

// A 32x32 picture that stands for a number from 0 to 255.
Image numbered_image(int number);

// A "model" with one token a byte, whose slots remember exactly what was put into them: text that reaches another slot,
// a wrong position or a stale cell changes the answer or is recorded as a violation.
class FakeBackend final : public Backend {
 public:
  FakeBackend(std::shared_ptr<FakeScript> script, int slots, int context_tokens);

  // <|begin|>, then <|turn|>ROLE:CONTENT<|im_end|> for each, then <|turn|>answer: with no place for a system message.
  static constexpr std::string_view kTurnTemplate = "turns";
  // Writes everything twice.
  static constexpr std::string_view kEchoTemplate = "echo";

  int slots() const noexcept override { return slots_; }
  int context_tokens() const noexcept override { return context_tokens_; }
  double step_cost_rows() const noexcept override { return script_->step_cost_rows; }
  bool has_vision() const noexcept override { return script_->has_vision; }
  const Vocabulary& vocabulary() const noexcept override { return vocabulary_; }
  std::string_view chat_template() const noexcept override { return script_->chat_template; }
  Result<std::string> format_chat(std::span<const ChatTurn> turns) const override;
  std::optional<Token> first_token() const noexcept override { return script_->first_token; }
  Result<std::vector<Token>> tokenize(std::string_view text, bool parse_special) const override;
  Result<std::unique_ptr<PreparedImage>> prepare(const Image& image) const override;
  Result<ImageEmbedding> encode(const PreparedImage& image) override;
  Status prefill(int slot, std::span<const Token> tokens, Position from, bool want_logits) override;
  Status prefill(int slot, const ImageEmbedding& image, Position from) override;
  Status decode(std::span<const DecodeRow> rows) override;
  std::span<const float> logits(int row) override;
  void truncate(int slot, Position from) override;
  Status reshape(int slots, int context_tokens) override;
  void arm() noexcept override;
  void interrupt() noexcept override;
  // Blocks until interrupt() or `released`; for steps that are to be interrupted.
  bool wait_for_interrupt(const std::function<bool()>& released);

  static constexpr Token kEnd = 256;
  static constexpr Token kVisionStart = 257;
  static constexpr Token kVisionEnd = 258;
  static constexpr Token kTurnStart = 259;
  static constexpr Token kTurn = 260;
  static constexpr Token kBegin = 261;

 private:
  // One cell of a slot: a token, or an image.
  struct Cell {
    Position position = 0;
    Position end = 0;  // position after it
    Token token = -1;
    int image = -1;
  };
  struct Slot {
    std::vector<Cell> cells;
    std::size_t prompt_cells = 0;  // those before the output
  };
  void append(int slot, Cell cell);
  Token next_token(int slot) const;
  void put_logits(int row, int slot);
  void violation(std::string text);

  std::shared_ptr<FakeScript> script_;
  int slots_;
  int context_tokens_;
  Vocabulary vocabulary_;
  std::vector<Slot> cells_;
  std::vector<std::vector<float>> logits_;
  std::mutex interrupt_mutex_;
  std::condition_variable interrupt_changed_;
  bool interrupted_ = false;
};

}  // namespace escribano::engine
