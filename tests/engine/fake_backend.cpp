#include "engine/fake_backend.h"

#include <algorithm>
#include <chrono>

namespace escribano::engine {
namespace {

constexpr int kVocabularySize = 262;

// Marks and their control tokens.
constexpr std::pair<std::string_view, Token> kMarks[] = {
    {"<|im_start|>", FakeBackend::kTurnStart},
    {"<|im_end|>", FakeBackend::kEnd},
    {"<|vision_start|>", FakeBackend::kVisionStart},
    {"<|vision_end|>", FakeBackend::kVisionEnd},
    {"<|turn|>", FakeBackend::kTurn},
    {"<|begin|>", FakeBackend::kBegin},
};

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

std::string shown_token(Token token) {
  if (token < 256) return std::string(1, static_cast<char>(token));
  for (const auto& [mark, id] : kMarks) {
    if (id == token) return "{" + std::string(mark.substr(2, mark.size() - 4)) + "}";
  }
  return "{}";
}

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
  std::vector<Token> tokens;
  while (!text.empty()) {
    const auto* mark = std::find_if(std::begin(kMarks), std::end(kMarks),
                                    [&](const auto& m) { return parse_special && text.starts_with(m.first); });
    if (mark != std::end(kMarks)) {
      tokens.push_back(mark->second);
      text.remove_prefix(mark->first.size());
    } else {
      tokens.push_back(static_cast<std::uint8_t>(text.front()));
      text.remove_prefix(1);
    }
  }
  return tokens;
}

Result<std::string> FakeBackend::format_chat(std::span<const ChatTurn> turns) const {
  if (script_->chat_template == kEchoTemplate) return turns.front().content + turns.front().content;
  if (script_->chat_template != kTurnTemplate) return fail(Errc::unsupported, "a template of no known kind");
  std::string text = "<|begin|>";
  for (const ChatTurn& turn : turns) {
    if (turn.role != "system") text += "<|turn|>" + turn.role + ":" + turn.content + "<|im_end|>";
  }
  return text + "<|turn|>answer:";
}

Status FakeBackend::reshape(int slots, int context_tokens) {
  ESCRIBANO_CHECK(script_->before_reshape(slots, context_tokens));
  for (const Slot& slot : cells_) {
    if (!slot.cells.empty()) violation("a reshape while a slot is in use");
  }
  slots_ = slots;
  context_tokens_ = context_tokens;
  cells_.assign(static_cast<std::size_t>(std::max(2, slots)), {});
  logits_.assign(cells_.size(), std::vector<float>(kVocabularySize));
  const std::lock_guard lock(script_->mutex);
  script_->reshapes.emplace_back(slots, context_tokens);
  return {};
}

Result<std::unique_ptr<PreparedImage>> FakeBackend::prepare(const Image& image) const {
  script_->before_prepare();
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
  auto& cells = cells_.at(static_cast<std::size_t>(slot)).cells;
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
  if (want_logits) {
    Slot& prefilled = cells_.at(static_cast<std::size_t>(slot));
    prefilled.prompt_cells = prefilled.cells.size();
    put_logits(0, slot);
  }
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
    if (rows[i].slot != rows[i - 1].slot && rows[i].slot != rows[i - 1].slot + 1) {
      violation("a gap between the rows of a decode step");
    }
  }
  const auto first = std::count_if(rows.begin(), rows.end(), [&](const auto& r) { return r.slot == rows[0].slot; });
  const int slots = rows.back().slot - rows.front().slot + 1;
  if (static_cast<std::size_t>(first * slots) != rows.size()) violation("slots with different numbers of rows");
  if (first > kMaxSlotRows || (first > 1 && rows.size() > kMaxStepRows)) violation("too many rows");
  if (logits_.size() < rows.size()) logits_.resize(rows.size(), std::vector<float>(kVocabularySize));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    append(rows[i].slot, {.position = rows[i].position, .end = rows[i].position + 1, .token = rows[i].token});
    put_logits(static_cast<int>(i), rows[i].slot);
  }
  const std::lock_guard lock(script_->mutex);
  script_->decode_row_counts.push_back(rows.size());
  return {};
}

Token FakeBackend::next_token(int slot) const {
  const Slot& state = cells_[static_cast<std::size_t>(slot)];
  std::vector<int> images;
  std::string text;
  std::string output;
  for (std::size_t i = 0; i < state.cells.size(); ++i) {
    const Cell& cell = state.cells[i];
    if (cell.image >= 0) {
      images.push_back(cell.image);
    } else {
      (i < state.prompt_cells ? text : output) += shown_token(cell.token);
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
  auto& cells = cells_.at(static_cast<std::size_t>(slot)).cells;
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
  // Nobody tells us of a release, so it is looked for.
  while (!interrupted_ && !released()) interrupt_changed_.wait_for(lock, std::chrono::milliseconds(1));
  return interrupted_;
}

}  // namespace escribano::engine
