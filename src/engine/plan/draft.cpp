#include "engine/plan/draft.h"

#include <algorithm>

namespace escribano::engine {
namespace {

constexpr std::size_t kLongestRun = 8;
constexpr double kWorthwhile = 1.05;
constexpr int kRowCounts[] = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48};
// About how many of the last drafts an estimate remembers, and the tokens it begins with, three quarters of them right.
constexpr double kRememberedDrafts = 16;
constexpr double kFirstTested = 2;
constexpr double kFirstAccepted = 1.5;

// How many of the last tokens of `a` and `b` are the same, at most kLongestRun.
std::size_t common_end(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  const std::size_t most = std::min({a.size(), b.size(), kLongestRun});
  std::size_t n = 0;
  while (n < most && a[a.size() - 1 - n] == b[b.size() - 1 - n]) ++n;
  return n;
}

// Tokens that a step is expected to give a sequence.
double expected_tokens(const DraftOffer& offer, int rows) {
  double expected = 1;
  double all_right = 1;
  for (int i = 0; i < std::min(rows - 1, offer.tokens); ++i) {
    all_right *= offer.acceptance;
    expected += all_right;
  }
  return expected;
}

}  // namespace

void TextCursor::follow(std::span<const std::int32_t> text, std::span<const std::int32_t> written) {
  if (written.size() < followed_) *this = {};  // the answer went back to an earlier place
  place_ = std::min(place_, text.size());
  while (followed_ < written.size()) step(text, written.first(++followed_));
}

void TextCursor::step(std::span<const std::int32_t> text, std::span<const std::int32_t> written) {
  if (place_ < text.size() && text[place_] == written.back()) {
    ++place_;
    ++matched_;
    return;
  }
  std::size_t best = 0;
  std::size_t best_distance = 0;
  std::size_t best_place = std::min(place_ + 1, text.size());
  for (std::size_t place = 1; place <= text.size(); ++place) {
    const std::size_t run = common_end(text.first(place), written);
    const std::size_t distance = place > place_ ? place - place_ : text.size() + place_ - place;
    if (run == 0 || run < best || (run == best && distance >= best_distance)) continue;
    best = run;
    best_distance = distance;
    best_place = place;
  }
  place_ = best_place;
  matched_ = best;
}

int TextCursor::trust() const noexcept {
  // Frames of another scene part in the first words.
  if (matched_ == followed_) return matched_ >= 8 ? kTrustLevels - 1 : kTrustLevels - 2;
  if (matched_ >= 8) return 4;
  if (matched_ >= 4) return 3;
  if (matched_ >= 2) return 2;
  return matched_ == 1 ? 1 : 0;
}

DraftAcceptance::DraftAcceptance() { levels_.fill({.accepted = kFirstAccepted, .tested = kFirstTested}); }

void DraftAcceptance::note(int trust, int accepted, int tested) {
  Level& level = levels_[static_cast<std::size_t>(trust)];
  constexpr double kKept = 1 - 1 / kRememberedDrafts;
  level.accepted = level.accepted * kKept + accepted;
  level.tested = level.tested * kKept + tested;
}

double DraftAcceptance::rate(int trust) const noexcept {
  const Level& level = levels_[static_cast<std::size_t>(trust)];
  return (level.accepted + 0.5) / (level.tested + 1);
}

int rows_per_slot(std::span<const DraftOffer> offers, int slots, int most_rows, double step_cost_rows) {
  const auto tokens_for_cost = [&](int rows) {
    double tokens = 0;
    for (const DraftOffer& offer : offers) tokens += expected_tokens(offer, rows);
    return tokens / (step_cost_rows + static_cast<double>(slots) * rows);
  };
  int best = 1;
  double most = tokens_for_cost(1) * kWorthwhile;
  const auto consider = [&](int rows) {
    if (rows > most_rows) return;
    const double value = tokens_for_cost(rows);
    if (value <= most) return;
    most = value;
    best = rows;
  };
  for (const int rows : kRowCounts) consider(rows);
  // The rest of a text whole.
  for (const DraftOffer& offer : offers) consider(offer.tokens + 1);
  return best;
}

}  // namespace escribano::engine
