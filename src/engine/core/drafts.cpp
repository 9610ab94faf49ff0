#include "engine/core/drafts.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace escribano::engine {
namespace {

constexpr std::size_t kTexts = 16;
constexpr std::uint64_t kFormatWords = 0;  // in place of a text's id
constexpr Token kAnyWords = -1;

// What LineGrammar::single() has between the values, without the spaces that a tokenizer joins to the word behind them.
constexpr std::string_view kFormatWordsOfALine[] = {"description:", " | activity:", " | apps: [", "] | topics: ["};

std::vector<Token> format_words(const Backend& backend) {
  std::vector<Token> words;
  for (const std::string_view text : kFormatWordsOfALine) {
    const Result<std::vector<Token>> tokens = backend.tokenize(text, false);
    if (!tokens) return {};
    words.insert(words.end(), tokens->begin(), tokens->end());
    words.push_back(kAnyWords);
  }
  return words;
}

}  // namespace

Drafts::Drafts(const Backend& backend, int most_tokens)
    : most_tokens_(std::clamp(most_tokens, 0, kMaxSlotRows - 1)), step_cost_rows_(backend.step_cost_rows()) {
  if (most_tokens_ > 0) format_words_ = format_words(backend);
}

Drafts::Step Drafts::plan(std::span<Sequence* const> sequences, int slots, int context_tokens) {
  Step step;
  step.drafts.resize(sequences.size());
  if (most_tokens_ == 0) return step;
  int most_rows = std::min(most_tokens_ + 1, kMaxStepRows / slots);
  std::vector<DraftOffer> offers(sequences.size());
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    Sequence& sequence = *sequences[i];
    // Every slot gets the same number of rows, so the fullest one limits them.
    const int held = sequence.prompt_tokens + static_cast<int>(sequence.output.size()) - 1;
    most_rows = std::min(most_rows, context_tokens - held);
    if (sequence.draft_kind == 0) continue;
    step.drafts[i] = draft(sequence, sequences);
    offers[i] = {.tokens = static_cast<int>(step.drafts[i].tokens.size()),
                 .acceptance = acceptance_.rate(step.drafts[i].trust)};
  }
  step.rows = rows_per_slot(offers, slots, most_rows, step_cost_rows_);
  return step;
}

Drafts::Draft Drafts::draft(Sequence& sequence, std::span<Sequence* const> sequences) const {
  const std::span<const Token> output = sequence.output;
  const int room = std::min(most_tokens_, sequence.max_tokens - static_cast<int>(output.size()) - 1);
  std::span<const Token> best;
  const TextCursor* best_cursor = nullptr;
  const auto consider = [&](std::uint64_t id, std::span<const Token> text) {
    TextCursor& cursor = sequence.draft_cursors[id];
    cursor.follow(text, output);
    const std::span<const Token> rest = text.subspan(std::min(cursor.place(), text.size()));
    if (rest.empty() || rest.front() < 0) return;
    if (best_cursor != nullptr &&
        std::pair(cursor.trust(), cursor.matched()) <= std::pair(best_cursor->trust(), best_cursor->matched())) {
      return;
    }
    best = rest;
    best_cursor = &cursor;
  };
  for (const Text& text : texts_) {
    if (text.kind == sequence.draft_kind) consider(text.id, text.tokens);
  }
  for (const Sequence* other : sequences) {
    if (other != &sequence && other->draft_kind == sequence.draft_kind) consider(other->text_id, other->output);
  }
  consider(kFormatWords, format_words_);
  if (best_cursor == nullptr || room <= 0) return {};
  best = best.first(std::min(best.size(), static_cast<std::size_t>(room)));
  return {.tokens = {best.begin(), std::find_if(best.begin(), best.end(), [](Token token) { return token < 0; })},
          .trust = best_cursor->trust(),
          .begin = output.size()};
}

void Drafts::note(Sequence& sequence, const Draft& draft, int rows) {
  if (draft.tokens.empty()) return;
  const std::span<const Token> written = std::span<const Token>(sequence.output).subspan(draft.begin);
  const auto parted = std::mismatch(draft.tokens.begin(), draft.tokens.end(), written.begin(), written.end());
  const auto right = static_cast<int>(parted.first - draft.tokens.begin());
  const bool was_wrong = parted.first != draft.tokens.end() && parted.second != written.end();
  // A draft for which there were no rows is compared as well: that costs nothing, and shows when it would pay again.
  acceptance_.note(draft.trust, right, right + (was_wrong ? 1 : 0));
  const int drafted = std::min(rows - 1, static_cast<int>(draft.tokens.size()));
  sequence.drafted_tokens += drafted;
  sequence.accepted_tokens += std::min(right, drafted);
}

void Drafts::remember(const Sequence& sequence) {
  if (most_tokens_ == 0 || sequence.draft_kind == 0) return;
  const auto same = std::find_if(texts_.begin(), texts_.end(), [&](const Text& text) {
    return text.kind == sequence.draft_kind && text.tokens == sequence.output;
  });
  if (same != texts_.end()) {
    std::rotate(texts_.begin(), same, same + 1);
    return;
  }
  texts_.push_front({.id = sequence.text_id, .kind = sequence.draft_kind, .tokens = sequence.output});
  if (texts_.size() > kTexts) texts_.pop_back();
}

}  // namespace escribano::engine
