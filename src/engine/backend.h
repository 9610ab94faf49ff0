#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "image/image.h"

namespace escribano::engine {

using Token = std::int32_t;
using Position = std::int32_t;

// What the vision tower and projector made of one image: `tokens` rows of `width` floats, row-major. For a DeepStack
// model the features of the extra levels follow the projector's output in each row.
struct ImageEmbedding {
  int tokens = 0;
  int width = 0;
  int columns = 0;        // merged patches across; tokens = columns * rows
  int rows = 0;           // merged patches down
  int reused_tokens = 0;  // taken over from the picture before, because their pixels are the same
  bool exact = true;      // false: some were taken over that had not seen what changed elsewhere in the picture
  int positions = 0;      // how far the image moves the text position on: max(columns, rows) under M-RoPE
  std::vector<float> values;

  std::size_t size_bytes() const noexcept { return values.size() * sizeof(float); }
};

// An image in the form the vision tower takes, made off the engine thread. Owned by the Backend's implementation.
class PreparedImage {
 public:
  virtual ~PreparedImage() = default;
};

// The bytes of every token. Constant after construction; any thread.
class Vocabulary {
 public:
  // `pieces[t]` are the bytes of token t (empty for control tokens); `ends[t]` whether t ends a turn.
  Vocabulary(std::span<const std::string> pieces, std::vector<bool> ends);

  int size() const noexcept { return static_cast<int>(ends_.size()); }
  std::string_view piece(Token token) const noexcept {
    const auto at = static_cast<std::size_t>(token);
    return std::string_view(bytes_).substr(offsets_[at], offsets_[at + 1] - offsets_[at]);
  }
  bool is_end(Token token) const noexcept { return ends_[static_cast<std::size_t>(token)]; }

 private:
  std::string bytes_;
  std::vector<std::uint32_t> offsets_;  // size() + 1
  std::vector<bool> ends_;
};

// One turn of a conversation, for Backend::format_chat.
struct ChatTurn {
  std::string role;
  std::string content;
};

// Rows that a decode step may have: of one slot, and in all where a slot has more than one. The limit of a slot is below
// the 64 rows from which ggml's attention on CPUs goes through tiles, whose sums are rounded otherwise; the limit in all
// bounds the memory for logits.
inline constexpr int kMaxSlotRows = 48;
inline constexpr int kMaxStepRows = 64;

// Rows of one forward pass. Bounds the compute buffers; a longer prompt goes through in pieces of this size, cut at the
// same places however the frame is batched.
inline constexpr int kUbatchTokens = 512;

// Up to so many tokens an image, attention in the vision tower is written out, which is exact and takes memory with the
// square of their number (llama/llama_backend.cpp).
inline constexpr int kExactAttentionTokens = 512;

// Pictures that may be loaded ahead of the vision tower: enough that it never waits, few enough that memory stays flat. A
// prompt without pictures counts as one, so that it gets its place in the queue by the same rule.
inline constexpr int kImagesAhead = 8;

// One token to decode in one slot.
struct DecodeRow {
  int slot = 0;
  Token token = 0;
  Position position = 0;
};

// The model as the engine needs it: `slots` independent sequences of one context. A fake implements it in tests; the
// real one is llama/llama_backend.h.
//
// Threads: has_vision(), vocabulary(), chat_template(), format_chat(), first_token(), tokenize(), prepare(), arm() and
// interrupt() from any thread; everything else from the engine thread only.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual int slots() const noexcept = 0;
  virtual int context_tokens() const noexcept = 0;  // of one slot
  // What a decode step costs beside its rows, in rows, about; for how many tokens to draft. Constant, and no measurement of
  // the running machine, so that the same frames go through the same steps.
  virtual double step_cost_rows() const noexcept = 0;
  virtual bool has_vision() const noexcept = 0;
  virtual const Vocabulary& vocabulary() const noexcept = 0;

  // The template that the model brings for conversations, in the language of its makers; empty if it brings none. Lives
  // as long as the backend.
  virtual std::string_view chat_template() const noexcept = 0;
  // A conversation in the model's own form, up to the opening of the next answer, by that template. Fails with
  // unsupported if it is of an unknown kind.
  virtual Result<std::string> format_chat(std::span<const ChatTurn> turns) const = 0;
  // The token that the model wants before every prompt; nullopt if none.
  virtual std::optional<Token> first_token() const noexcept = 0;

  // Text to tokens; `parse_special` turns marks such as <|im_start|> into their control tokens, and must be false for
  // any text that came from outside.
  virtual Result<std::vector<Token>> tokenize(std::string_view text, bool parse_special) const = 0;

  // `image` must already have a size that the model takes as it is (image/resize.h); it is never resized here.
  virtual Result<std::unique_ptr<PreparedImage>> prepare(const Image& image) const = 0;
  // Runs the vision tower. What it gives depends on nothing but the picture, unless the backend was told to recompute only
  // what changed since the last one. Blocks for its whole time; interrupt() ends it with Errc::cancelled within a layer.
  virtual Result<ImageEmbedding> encode(const PreparedImage& image) = 0;

  // Appends to a slot, one token a position from `from` on. With `want_logits`, logits(0) are those after the last token.
  virtual Status prefill(int slot, std::span<const Token> tokens, Position from, bool want_logits) = 0;
  // Appends an image to a slot; all of its tokens lie at positions [from, from + image.positions).
  virtual Status prefill(int slot, const ImageEmbedding& image, Position from) = 0;
  // One step of several sequences. `rows` are sorted by slot and position, without gaps between the slots, the same number
  // of rows for each slot; two rows at least, and at most kMaxSlotRows a slot and kMaxStepRows in all, or one for each slot.
  virtual Status decode(std::span<const DecodeRow> rows) = 0;
  // Of the row-th row of the last decode (or of the last prefill that wanted them): vocabulary().size() floats, valid
  // until the next prefill or decode.
  virtual std::span<const float> logits(int row) = 0;

  // Forgets what a slot holds at positions >= from; from 0 forgets everything.
  virtual void truncate(int slot, Position from) = 0;

  // Cuts the context anew; `slots` are 1 to 255. All slots are forgotten, the weights stay loaded. Blocks for the time of
  // an allocation. Fails with out_of_memory if the new context cannot be made: then the old one is back, or, if there is no
  // memory for that either, none (slots() and context_tokens() are 0) until a reshape succeeds.
  virtual Status reshape(int slots, int context_tokens) = 0;

  // interrupt() makes the running encode, prefill or decode return Errc::cancelled, and every later one until arm(). The
  // slots worked on are to be truncated to 0 afterwards. Both from any thread.
  virtual void arm() noexcept = 0;
  virtual void interrupt() noexcept = 0;
};

}  // namespace escribano::engine
