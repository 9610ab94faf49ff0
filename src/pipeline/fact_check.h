#pragma once

// Whether a text says only what segments say. Private to this folder and its tests.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "domain/recording.h"
#include "pipeline/segment_facts.h"

namespace escribano {

// Where a sentence stands, which decides what its capitals mean.
enum class TextPlace : std::uint8_t {
  paragraph,  // or list item: the first word has one, and any word behind a colon may
  heading,    // every word may have one
  timeline,   // behind a range of times: the first word may have one
};

// What segments say, in the form in which texts are compared with it. Owns what it needs. Safe to use from several
// threads.
class SaidFacts {
 public:
  explicit SaidFacts(std::span<const Segment> segments);

  // The first thing in `sentence` that the segments do not have, as it stands there: a name (a word with a capital
  // inside the sentence, a word written like an identifier, a quotation, an app at any place, an activity that is more
  // than a turn of phrase), a clock time, a duration, another number. Nothing where they have all of them. Ordinary
  // words are not looked at.
  std::optional<std::string> unsaid_in(std::string_view sentence, TextPlace place = TextPlace::paragraph) const;

  // Of those segments of which anything is known, how many `text` speaks of: it names the app and the project, as far
  // as there are any, or else the activity.
  std::size_t mentioned_in(std::string_view text) const;
  std::size_t known_segments() const noexcept;

 private:
  friend class SentenceCheck;

  bool has_word(std::string_view word) const;                  // in any case, also as plural or singular
  bool has_phrase(std::string_view phrase) const;              // these words next to each other
  bool has_clock(double seconds, double tolerance_s) const;    // a beginning or an end
  bool has_duration(double seconds, double rounding_s) const;  // of a segment, of all, or of what they have in common
  bool has_count(long long count) const;                       // of segments, apps, activities, projects
  bool has_share(double percent) const;

  std::vector<SegmentFacts> facts_;
  std::string text_;                       // all that they say, with plain marks
  std::unordered_set<std::string> words_;  // of it
  std::unordered_set<std::string> apps_;   // app_key()
  std::unordered_set<std::string> activities_;
  std::vector<double> clocks_s_;
  std::vector<double> durations_s_;
  std::vector<long long> counts_;
  double total_s_ = 0;
};

struct CheckedText {
  std::string text;         // Markdown without links, HTML and headings of the first level; empty where nothing is left
  std::size_t kept = 0;     // sentences and list items
  std::size_t removed = 0;  // sentences and list items
  std::size_t repeated = 0;         // such that stood there before
  std::vector<std::string> unsaid;  // what they said, each once
};

// `answer` of a language model with every sentence and list item taken out that says what the segments do not, that
// repeats an earlier one, and the headings that are left without content. A `truncated` answer loses its last line.
// Pure; any text.
CheckedText checked_against(const SaidFacts& facts, std::string_view answer, bool truncated);

}  // namespace escribano
