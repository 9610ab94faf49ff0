#include "pipeline/fact_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <utility>

#include "base/utf8.h"
#include "pipeline/activity.h"
#include "pipeline/names.h"
#include "pipeline/names_known.h"
#include "pipeline/subject.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> all;
  bool inside = false;
  for (const char c : text) {
    if (!words::is_word(c)) {
      inside = false;
      continue;
    }
    if (!inside) all.emplace_back();
    inside = true;
    all.back() += words::lower(c);
  }
  return all;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  if (text.empty() || !words::is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

SaidFacts::SaidFacts(std::span<const Segment> segments) : facts_(facts_of(segments)) {
  const auto say = [&](std::string_view text) {
    text_ += words::plain_marks(words::single_spaced(to_valid_utf8(text)));
    text_ += '\n';
  };
  std::map<std::string, double> together;  // time that segments with something in common take
  std::map<std::string, long long> counted;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const SegmentFacts& facts = facts_[i];
    say(segment.activity);
    say(segment.description);
    for (const std::string& app : segment.apps) {
      say(app);
      apps_.insert(app_key(app));
    }
    for (const std::string& topic : segment.topics) say(topic);
    activities_.insert(segment.activity);
    for (const double at : {facts.start_s, facts.end_s}) clocks_s_.push_back(at);
    durations_s_.push_back(facts.seconds());
    total_s_ += facts.seconds();
    std::vector<std::string> keys = {"a " + facts.activity,
                                     "p " + facts.project,
                                     "f " + facts.app,
                                     "ap " + facts.activity + "\n" + facts.project,
                                     "af " + facts.activity + "\n" + facts.app,
                                     "fp " + facts.app + "\n" + facts.project};
    for (const std::string& topic : facts.topics) keys.push_back("t " + topic);
    for (const std::string& key : keys) {
      together[key] += facts.seconds();
      ++counted[key];
    }
  }
  for (const auto& [key, seconds] : together) durations_s_.push_back(seconds);
  durations_s_.push_back(total_s_);
  if (!facts_.empty()) durations_s_.push_back(facts_.back().end_s - facts_.front().start_s);
  for (const auto& [key, count] : counted) counts_.push_back(count);
  counts_.push_back(static_cast<long long>(facts_.size()));
  for (std::string SegmentFacts::*of : {&SegmentFacts::activity, &SegmentFacts::app, &SegmentFacts::project}) {
    counts_.push_back(static_cast<long long>(time_spent(facts_, of).size()));
  }
  for (std::string& word : words_in(text_)) words_.insert(std::move(word));
}

bool SaidFacts::has_word(std::string_view word) const {
  const std::string lower = words::lowered(word);
  if (words_.contains(lower) || words_.contains(lower + "s")) return true;
  if (lower.ends_with("'s") && words_.contains(lower.substr(0, lower.size() - 2))) return true;
  return lower.size() > 3 && lower.ends_with('s') && words_.contains(lower.substr(0, lower.size() - 1));
}

bool SaidFacts::has_phrase(std::string_view phrase) const {
  return words::find_word(text_, words::single_spaced(phrase)) != std::string_view::npos;
}

bool SaidFacts::has_clock(double seconds, double tolerance_s) const {
  return std::any_of(clocks_s_.begin(), clocks_s_.end(),
                     [&](double at) { return std::abs(at - seconds) <= tolerance_s; });
}

bool SaidFacts::has_duration(double seconds, double rounding_s) const {
  return std::any_of(durations_s_.begin(), durations_s_.end(),
                     [&](double s) { return std::abs(s - seconds) <= rounding_s / 2 + 1; });
}

bool SaidFacts::has_count(long long count) const {
  return std::find(counts_.begin(), counts_.end(), count) != counts_.end();
}

bool SaidFacts::has_share(double percent) const {
  return std::any_of(durations_s_.begin(), durations_s_.end(),
                     [&](double s) { return total_s_ > 0 && std::abs(100 * s / total_s_ - percent) <= 1; });
}

std::size_t SaidFacts::known_segments() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(facts_.begin(), facts_.end(), [](const SegmentFacts& f) { return f.seen; }));
}

// One sentence, word by word.
class SentenceCheck {
 public:
  SentenceCheck(const SaidFacts& facts, std::string_view sentence, TextPlace place)
      : facts_(&facts), sentence_(words::plain_marks(sentence)), place_(place) {
    std::erase(sentence_, '*');  // emphasis; code spans are quotations
    for (const std::string_view piece : words::split_at_spaces(sentence_))
      pieces_.push_back({piece, words::bare(piece)});
    done_.resize(pieces_.size());
  }

  std::optional<std::string> first_unsaid() {
    if (auto quotation = unsaid_quotation()) return quotation;
    if (auto app = unsaid_app()) return app;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      if (done_[i] || pieces_[i].word.empty()) continue;
      const std::size_t taken = duration_at(i);
      if (taken > 0) {
        if (!duration_said_) return joined(i, taken);
        i += taken - 1;
        continue;
      }
      if (!is_said(i)) return std::string(pieces_[i].word);
    }
    return std::nullopt;
  }

 private:
  struct Piece {
    std::string_view text;
    std::string_view word;  // its middle
  };

  std::string joined(std::size_t first, std::size_t count) const {
    std::string out;
    for (std::size_t i = first; i < first + count; ++i) out += (i == first ? "" : " ") + std::string(pieces_[i].word);
    return out;
  }

  // "Release checklist", `audit_log`: the very words must have been said.
  std::optional<std::string> unsaid_quotation() {
    for (const char mark : {'"', '`'}) {
      std::size_t open = sentence_.find(mark);
      while (open != std::string::npos) {
        const std::size_t close = sentence_.find(mark, open + 1);
        if (close == std::string::npos) break;
        const std::string_view inside = words::bare(std::string_view(sentence_).substr(open + 1, close - open - 1));
        if (!inside.empty() && !facts_->has_phrase(inside) && !facts_->apps_.contains(app_key(inside)))
          return std::string(inside);
        open = sentence_.find(mark, close + 1);
      }
    }
    return std::nullopt;
  }

  // "Visual Studio Code" where the segments say VS Code; and apps that they do not have, at the beginning of sentences
  // too.
  std::optional<std::string> unsaid_app() {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      std::string compact;
      std::size_t longest = 0;
      bool said = false;
      for (std::size_t n = 0; n < 5 && i + n < pieces_.size(); ++n) {
        compact += words::compact(pieces_[i + n].word);
        const std::string* known = known_app(compact);
        if (known == nullptr) continue;
        longest = n + 1;
        said = facts_->apps_.contains(words::compact(*known)) || facts_->has_phrase(joined(i, longest));
      }
      if (longest == 0) continue;
      if (said) {
        std::fill_n(done_.begin() + static_cast<std::ptrdiff_t>(i), longest, true);
      } else if (words::is_upper(pieces_[i].word.front()) && !is_ordinary_app_word(joined(i, longest))) {
        return joined(i, longest);
      }
    }
    return std::nullopt;
  }

  // Apps whose names are words that begin sentences.
  static bool is_ordinary_app_word(std::string_view name) {
    constexpr std::string_view kWords[] = {
        "word",   "code",     "notes",  "pages", "numbers", "preview",  "signal",    "messages", "music",
        "photos", "calendar", "linear", "mail",  "cursor",  "terminal", "reminders", "edge",     "brave",
        "sketch", "eclipse",  "rider",  "warp",  "teams",   "keynote",  "opera",     "finder",   "arc"};
    return std::find(std::begin(kWords), std::end(kWords), words::lowered(name)) != std::end(kWords);
  }

  static std::optional<double> small_number(std::string_view word) {
    constexpr std::string_view kWords[] = {"zero",  "one",   "two",  "three", "four",   "five",  "six",
                                           "seven", "eight", "nine", "ten",   "eleven", "twelve"};
    for (std::size_t i = 0; i < std::size(kWords); ++i) {
      if (words::equal_any_case(word, kWords[i])) return static_cast<double>(i);
    }
    return number(word);
  }

  // Seconds in a unit; 0 where the word is none.
  static double unit_s(std::string_view word) {
    const std::string lower = words::lowered(word);
    for (const std::string_view s : {"s", "sec", "secs", "second", "seconds"}) {
      if (lower == s) return 1;
    }
    for (const std::string_view m : {"m", "min", "mins", "minute", "minutes"}) {
      if (lower == m) return 60;
    }
    for (const std::string_view h : {"h", "hr", "hrs", "hour", "hours"}) {
      if (lower == h) return 3600;
    }
    return 0;
  }

  struct Amount {
    double seconds = 0;
    double unit_s = 0;
    std::size_t pieces = 0;
  };

  // "12 s", "12s", "1h5m", "two minutes", "an hour", "15-minute" at piece `i`.
  std::optional<Amount> amount_at(std::size_t i) const {
    std::string_view word = pieces_[i].word;
    if (const std::optional<double> value = small_number(word)) {
      if (i + 1 == pieces_.size()) return std::nullopt;
      const double unit = unit_s(pieces_[i + 1].word);
      if (unit == 0) return std::nullopt;
      const bool decimal = word.find('.') != std::string_view::npos;
      return Amount{*value * unit, decimal ? unit / 10 : unit, 2};
    }
    const bool an = words::equal_any_case(word, "an") || words::equal_any_case(word, "a");
    if (an && i + 1 < pieces_.size() && unit_s(pieces_[i + 1].word) >= 60) {
      const double unit = unit_s(pieces_[i + 1].word);
      const bool half = i > 0 && words::equal_any_case(pieces_[i - 1].word, "half");
      return Amount{half ? unit / 2 : unit, half ? unit / 2 : unit, 2};
    }
    Amount amount{.pieces = 1};
    while (!word.empty()) {
      std::size_t digits = 0;
      while (digits < word.size() && (words::is_digit(word[digits]) || (digits > 0 && word[digits] == '.'))) ++digits;
      const std::optional<double> value = number(word.substr(0, digits));
      std::size_t letters = digits;
      if (letters < word.size() && word[letters] == '-') ++letters;
      const std::size_t begin = letters;
      while (letters < word.size() && words::is_letter(word[letters])) ++letters;
      const double unit = unit_s(word.substr(begin, letters - begin));
      if (!value || unit == 0) return std::nullopt;
      amount.seconds += *value * unit;
      amount.unit_s = word.substr(0, digits).find('.') == std::string_view::npos ? unit : unit / 10;
      word.remove_prefix(letters);
    }
    if (amount.unit_s == 0) return std::nullopt;
    return amount;
  }

  // Pieces of the duration at `i`, 0 where there is none: "1 h 5 min", "2 hours and 10 minutes".
  std::size_t duration_at(std::size_t i) {
    std::optional<Amount> amount = amount_at(i);
    if (!amount) return 0;
    while (i + amount->pieces < pieces_.size()) {
      std::size_t next = i + amount->pieces;
      const bool joint = words::equal_any_case(pieces_[next].word, "and") && next + 1 < pieces_.size();
      const std::optional<Amount> more = amount_at(next + (joint ? 1 : 0));
      // "12 min 3 s" goes on; "12 min, 3 min" does not.
      if (!more || more->unit_s >= amount->unit_s || pieces_[next - 1].text.ends_with(',')) break;
      amount = Amount{amount->seconds + more->seconds, more->unit_s, amount->pieces + more->pieces + (joint ? 1 : 0)};
    }
    duration_said_ =
        facts_->has_duration(amount->seconds, amount->unit_s) || facts_->has_phrase(joined(i, amount->pieces));
    return amount->pieces;
  }

  // "0:12", "1:02:03".
  std::optional<bool> clock_said(std::string_view word) const {
    std::array<double, 3> parts{};
    std::size_t count = 0;
    std::string_view rest = word;
    for (;;) {
      const std::size_t colon = rest.find(':');
      const std::string_view part = rest.substr(0, colon);
      const bool digits = !part.empty() && part.size() <= 3 && std::all_of(part.begin(), part.end(), words::is_digit);
      if (!digits || count == parts.size()) return std::nullopt;
      parts[count++] = number(part).value_or(0);
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
    if (count < 2) return std::nullopt;
    if (facts_->has_phrase(word)) return true;
    const double seconds = count == 3 ? parts[0] * 3600 + parts[1] * 60 + parts[2] : parts[0] * 60 + parts[1];
    if (facts_->has_clock(seconds, 1) || facts_->has_duration(seconds, 0)) return true;
    // Hours and minutes, where the recording has hours.
    const double long_s = parts[0] * 3600 + parts[1] * 60;
    return count == 2 && facts_->total_s_ >= 3600 && facts_->has_clock(long_s, 60);
  }

  bool number_said(std::size_t i, double value) const {
    const std::string_view word = pieces_[i].word;
    const bool percent = pieces_[i].text.find('%') != std::string_view::npos ||
                         (i + 1 < pieces_.size() && (pieces_[i + 1].text.starts_with('%') ||
                                                     words::equal_any_case(pieces_[i + 1].word, "percent")));
    if (percent) return facts_->has_share(value) || facts_->has_phrase(word);
    if (value == std::floor(value) && std::abs(value) < 1e15 && facts_->has_count(static_cast<long long>(value)))
      return true;
    // "#12" and "12" alone; a number that is part of a name does not say it.
    return facts_->has_phrase(word);
  }

  bool begins(std::size_t i) const {
    if (i == 0) return true;
    if (place_ == TextPlace::timeline) return i == 1;  // behind the range of times
    const std::string_view before = pieces_[i - 1].text;
    const char last = before.back();
    return last == ':' || pieces_[i - 1].word.empty() || last == '.' || last == '!' || last == '?' || last == '|';
  }

  static bool is_label(std::string_view word) {
    constexpr std::string_view kWords[] = {
        "i",          "i'm",      "i've",     "ok",      "ui",       "summary",     "session",      "timeline",
        "overview",   "project",  "projects", "app",     "apps",     "application", "applications", "activity",
        "activities", "topic",    "topics",   "time",    "total",    "totals",      "duration",     "highlights",
        "note",       "notes",    "key",      "work",    "worked",   "done",        "next",         "steps",
        "blocker",    "blockers", "none",     "focus",   "other",    "main",        "start",        "end",
        "recording",  "screen",   "user",     "standup", "stand-up", "segment",     "segments",     "markdown",
        "details",    "the",      "a",        "an",      "and",      "of",          "in",           "on",
        "for",        "with",     "from",     "to",      "at",       "tools",       "tool",         "part",
        "parts"};
    const std::string lower = words::lowered(word);
    return std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
  }

  bool activity_said(std::string_view word) const {
    const std::string_view activity = normalised_activity(word);
    return activity != "other" && facts_->activities_.contains(std::string(activity));
  }

  // An activity that none of the segments has. What else one reads, writes or plans in passing is no claim.
  bool claims_activity(std::string_view word) const {
    constexpr std::string_view kClaims[] = {"coding",    "debugging", "reviewing", "testing",
                                            "messaging", "meeting",   "designing"};
    return std::any_of(std::begin(kClaims), std::end(kClaims),
                       [&](std::string_view claim) { return words::equal_any_case(word, claim); }) &&
           !facts_->has_word(word);
  }

  bool is_said(std::size_t i) const {
    const std::string_view word = pieces_[i].word;
    if (claims_activity(word)) return false;
    if (const std::optional<bool> clock = clock_said(word)) return *clock;
    if (const std::optional<double> value = number(word)) return number_said(i, *value);
    // "0:00-0:12", "TablePlus/Figma", "Monday-Friday": as a whole, else each part.
    const bool compound = word.find_first_of("-/") != std::string_view::npos;
    const bool has_digit = std::any_of(word.begin(), word.end(), words::is_digit);
    if (is_identifier(pieces_[i].text) || is_identifier(word) || has_digit) {
      if (facts_->has_phrase(word) || facts_->apps_.contains(app_key(word))) return true;
      if (word.ends_with("'s") && facts_->has_phrase(word.substr(0, word.size() - 2))) return true;
      return compound && parts_said(word);
    }
    if (const auto value = small_number(word); value && *value > 1)
      return facts_->has_word(word) || number_said(i, *value);
    if (place_ == TextPlace::heading || !std::any_of(word.begin(), word.end(), words::is_upper) || begins(i))
      return true;
    if (facts_->has_word(word) || is_label(word) || activity_said(word)) return true;
    return compound && parts_said(word);
  }

  // Only ranges of times and lists of names: "zephyr-search" is not made of "zephyr" and "search".
  bool parts_said(std::string_view word) const {
    const char mark = word.find('/') != std::string_view::npos ? '/' : '-';
    std::size_t at = 0;
    while (at <= word.size()) {
      const std::size_t end = std::min(word.find(mark, at), word.size());
      const std::string_view part = words::bare(word.substr(at, end - at));
      const std::optional<bool> clock = clock_said(part);
      const bool name = mark == '/' && (facts_->has_phrase(part) || facts_->apps_.contains(app_key(part)));
      const bool capital = mark == '-' && !is_identifier(part) &&
                           (!words::is_upper(part.empty() ? ' ' : part.front()) || facts_->has_word(part));
      const bool plain =
          capital && std::none_of(word.begin(), word.end(), words::is_digit) && words::is_upper(word.front());
      if (!clock.value_or(name || plain)) return false;
      at = end + 1;
    }
    return true;
  }

  const SaidFacts* facts_;
  std::string sentence_;
  TextPlace place_;
  std::vector<Piece> pieces_;
  std::vector<bool> done_;
  bool duration_said_ = false;
};

std::optional<std::string> SaidFacts::unsaid_in(std::string_view sentence, TextPlace place) const {
  return SentenceCheck(*this, sentence, place).first_unsaid();
}

std::size_t SaidFacts::mentioned_in(std::string_view text) const {
  const std::string all = words::plain_marks(text);
  std::unordered_set<std::string> said;  // each name is looked for once
  std::unordered_set<std::string> asked;
  const auto has = [&](const std::string& name) {
    if (name.empty()) return false;
    if (asked.insert(name).second && words::find_word(all, name) != std::string_view::npos) said.insert(name);
    return said.contains(name);
  };
  return static_cast<std::size_t>(std::count_if(facts_.begin(), facts_.end(), [&](const SegmentFacts& f) {
    if (!f.seen) return false;
    if (f.app.empty() && f.project.empty()) return has(f.activity);
    return (f.app.empty() || has(f.app)) && (f.project.empty() || has(f.project));
  }));
}

}  // namespace escribano
