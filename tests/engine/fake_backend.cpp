#include "engine/fake_backend.h"

#include <algorithm>

namespace escribano::engine {
namespace {

constexpr int kVocabularySize = 260;

class FakeImage final : public PreparedImage {
 public:
  explicit FakeImage(int number) : number_(number) {}
  int number() const { return number_; }

 private:
  int number_;
};

Vocabulary byte_vocabulary() {
  std::vector<std::string> pieces(kVocabularySize);
  for (std::size_t byte = 0; byte < 256; ++byte) pieces[byte] = std::string(1, static_cast<char>(byte));
  std::vector<bool> ends(kVocabularySize, false);
  ends[FakeBackend::kEnd] = true;
  return Vocabulary(pieces, std::move(ends));
}

}  // namespace

Image numbered_image(int number) {
  return {.width_px = 32,
          .height_px = 32,
          .rgb = std::vector<std::uint8_t>(32 * 32 * 3, static_cast<std::uint8_t>(number))};
}

FakeBackend::FakeBackend(std::shared_ptr<FakeScript> script, int slots, int context_tokens)
    : script_(std::move(script)),
      slots_(slots),
      context_tokens_(context_tokens),
      vocabulary_(byte_vocabulary()),
      cells_(static_cast<std::size_t>(std::max(2, slots))),
      logits_(cells_.size(), std::vector<float>(kVocabularySize)) {}

void FakeBackend::violation(std::string text) {
  const std::lock_guard lock(script_->mutex);
  script_->violations.push_back(std::move(text));
}

Result<std::vector<Token>> FakeBackend::tokenize(std::string_view text, bool parse_special) const {
  if (parse_special) {
    static const std::map<std::string, Token, std::less<>> marks = {{"<|im_start|>", kTurnStart},
                                                                    {"<|im_end|>", kEnd},
                                                                    {"<|vision_start|>", kVisionStart},
                                                                    {"<|vision_end|>", kVisionEnd}};
    return std::vector<Token>{marks.find(text)->second};
  }
  std::vector<Token> tokens;
  for (const char c : text) tokens.push_back(static_cast<std::uint8_t>(c));
  return tokens;
}

Result<std::unique_ptr<PreparedImage>> FakeBackend::prepare(const Image& image) const {
  return std::make_unique<FakeImage>(image.rgb.front());
}

Result<ImageEmbedding> FakeBackend::encode(const PreparedImage& image) {
  const int number = dynamic_cast<const FakeImage&>(image).number();
  ESCRIBANO_CHECK(script_->before_step("encode"));
  const std::lock_guard lock(script_->mutex);
  script_->encoded.push_back(number);
  return ImageEmbedding{
      .tokens = 1, .width = 1, .columns = 1, .rows = 1, .positions = 1, .values = {static_cast<float>(number)}};
}

void FakeBackend::append(int slot, Cell cell) {
  auto& cells = cells_.at(static_cast<std::size_t>(slot));
  const Position expected = cells.empty() ? 0 : cells.back().end;
  if (cell.position != expected) {
    violation("slot " + std::to_string(slot) + ": position " + std::to_string(cell.position) + " after " +
              std::to_string(expected));
  }
  if (static_cast<int>(cells.size()) >= context_tokens_) violation("slot " + std::to_string(slot) + " overflows");
  cells.push_back(cell);
}

Status FakeBackend::prefill(int slot, std::span<const Token> tokens, Position from, bool want_logits) {
  ESCRIBANO_CHECK(script_->before_step("prefill"));
  for (const Token token : tokens) {
    append(slot, {.position = from, .end = from + 1, .token = token});
    ++from;
  }
  if (want_logits) put_logits(0, slot);
  return {};
}

Status FakeBackend::prefill(int slot, const ImageEmbedding& image, Position from) {
  ESCRIBANO_CHECK(script_->before_step("prefill"));
  append(slot, {.position = from, .end = from + image.positions, .image = static_cast<int>(image.values.front())});
  return {};
}

Status FakeBackend::decode(std::span<const DecodeRow> rows) {
  ESCRIBANO_CHECK(script_->before_step("decode"));
  if (rows.size() < 2) violation("a decode step of one row");
  for (std::size_t i = 1; i < rows.size(); ++i) {
    if (rows[i].slot != rows[i - 1].slot + 1) violation("a gap between the rows of a decode step");
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    append(rows[i].slot, {.position = rows[i].position, .end = rows[i].position + 1, .token = rows[i].token});
    put_logits(static_cast<int>(i), rows[i].slot);
  }
  const std::lock_guard lock(script_->mutex);
  script_->decode_row_counts.push_back(rows.size());
  return {};
}

Token FakeBackend::next_token(int slot) const {
  const auto& cells = cells_[static_cast<std::size_t>(slot)];
  // The prompt ends with the second start of a turn and "assistant\n"; what follows is output.
  std::vector<int> images;
  std::string text;
  std::string output;
  int turns = 0;
  std::size_t opening = 0;
  for (const Cell& cell : cells) {
    if (cell.image >= 0) images.push_back(cell.image);
    if (cell.token == kTurnStart) ++turns;
    if (cell.token < 0 || cell.token > 255) continue;
    const char c = static_cast<char>(cell.token);
    if (turns < 2) {
      text += c;
    } else if (opening < std::string_view("assistant\n").size()) {
      ++opening;
    } else {
      output += c;
    }
  }
  const std::string answer = script_->answer(images, text);
  // Output that left the script (a banned token) goes on as if it had not.
  if (output.size() >= answer.size()) return kEnd;
  return static_cast<std::uint8_t>(answer[output.size()]);
}

void FakeBackend::put_logits(int row, int slot) {
  auto& logits = logits_[static_cast<std::size_t>(row)];
  std::fill(logits.begin(), logits.end(), 0.0F);
  // A second choice for where the first is not allowed: 'x' over everything else.
  logits['x'] = 1;
  logits[static_cast<std::size_t>(next_token(slot))] = 10;
}

std::span<const float> FakeBackend::logits(int row) { return logits_[static_cast<std::size_t>(row)]; }

void FakeBackend::truncate(int slot, Position from) {
  auto& cells = cells_.at(static_cast<std::size_t>(slot));
  std::erase_if(cells, [&](const Cell& cell) { return cell.position >= from; });
}

void FakeBackend::arm() noexcept {
  const std::lock_guard lock(interrupt_mutex_);
  interrupted_ = false;
}

void FakeBackend::interrupt() noexcept {
  const std::lock_guard lock(interrupt_mutex_);
  interrupted_ = true;
  interrupt_changed_.notify_all();
}

bool FakeBackend::wait_for_interrupt(const std::function<bool()>& released) {
  std::unique_lock lock(interrupt_mutex_);
  interrupt_changed_.wait(lock, [&] { return interrupted_ || released(); });
  return interrupted_;
}

}  // namespace escribano::engine
