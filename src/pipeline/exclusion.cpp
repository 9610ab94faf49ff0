#include "pipeline/exclusion.h"

#include <algorithm>
#include <deque>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "pipeline/activity.h"
#include "pipeline/look.h"
#include "pipeline/names.h"
#include "pipeline/names_known.h"
#include "pipeline/sentences.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

// The apps that are nobody's business, and which of them were met.
class Excluded {
 public:
  explicit Excluded(std::span<const std::string> apps) {
    for (const std::string& app : apps) {
      const std::string key = app_key(app);
      if (key.empty() || std::find(keys_.begin(), keys_.end(), key) != keys_.end()) continue;
      keys_.push_back(key);
      names_.push_back(app_name(app));
      met_.push_back(false);
      const auto count = static_cast<std::size_t>(std::count(names_.back().begin(), names_.back().end(), ' ')) + 1;
      most_words_ = std::max(most_words_, count);
    }
  }

  bool is_app(std::string_view app) { return meet(app_key(app)); }

  // Whether any spelling of such an app stands in `text`, in any case, at the borders of words.
  bool named_in(std::string_view text) {
    std::vector<std::string_view> all;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      while (at < text.size() && words::is_word(text[at])) ++at;
      while (at > begin && at < text.size() && (text[at] == '+' || text[at] == '#')) ++at;
      if (at > begin) all.push_back(text.substr(begin, at - begin));
      if (at == begin) ++at;
    }
    bool found = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::string joined;
      for (std::size_t n = 0; n < most_words_ && i + n < all.size(); ++n) {
        joined += words::compact(all[i + n]);
        found = is_spelling(joined) || found;
        // "Notepad++" is not "Notepad", but "Slack+" is someone's way to write Slack.
        const std::size_t end = joined.find_last_not_of("+#") + 1;
        found = (end < joined.size() && is_spelling(joined.substr(0, end))) || found;
      }
    }
    return found;
  }

  std::vector<std::string> met() const {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (met_[i]) names.push_back(names_[i]);
    }
    return names;
  }

  bool empty() const noexcept { return keys_.empty(); }

 private:
  bool is_spelling(const std::string& compact) {
    const std::string* known = known_app(compact);
    const bool meant = known != nullptr && meet(words::compact(*known));
    return meet(compact) || meant;
  }

  bool meet(const std::string& key) {
    const auto found = std::find(keys_.begin(), keys_.end(), key);
    if (found == keys_.end()) return false;
    met_[static_cast<std::size_t>(found - keys_.begin())] = true;
    return true;
  }

  std::vector<std::string> keys_;
  std::vector<std::string> names_;
  std::vector<bool> met_;
  std::size_t most_words_ = 4;  // the longest alias: "JetBrains PyCharm Community Edition"
};

// Sentences that go on about what the one before named.
bool refers_back(std::string_view sentence) {
  constexpr std::string_view kWords[] = {"it",   "its",   "they", "their", "this",  "these",
                                         "that", "those", "he",   "she",   "there", "here"};
  const auto pieces = words::split_at_spaces(sentence);
  if (pieces.empty()) return false;
  const std::string_view first = words::bare(pieces.front());
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return words::equal_any_case(first, word); });
}

std::string without_sentences(const std::string& text, Excluded& excluded) {
  if (!excluded.named_in(text)) return text;
  std::string out;
  bool removed = false;
  for (const std::string_view sentence : sentences(text)) {
    removed = excluded.named_in(sentence) || (removed && refers_back(sentence));
    if (removed) continue;
    if (!out.empty()) out += ' ';
    out += sentence;
  }
  // A name may go across what looks like the end of a sentence ("zoom. Us").
  return excluded.named_in(out) ? std::string() : out;
}

std::vector<std::string> without_names(const std::vector<std::string>& names, Excluded& excluded, bool apps) {
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    const bool app = apps && excluded.is_app(name);
    if (!excluded.named_in(name) && !app) kept.push_back(name);
  }
  return kept;
}

// Whether the front app is excluded. Where no apps are listed, what the first sentence names is the front one.
bool is_about_excluded(const std::vector<std::string>& apps, const std::string& description, Excluded& excluded) {
  if (!apps.empty()) return excluded.is_app(apps.front());
  const auto all = sentences(description);
  return !all.empty() && excluded.named_in(all.front());
}

Observation cleaned(const Observation& observation, Excluded& excluded) {
  Observation out = observation;
  out.description = without_sentences(observation.description, excluded);
  if (excluded.named_in(out.activity)) out.activity = "other";
  out.apps = without_names(observation.apps, excluded, true);
  out.topics = without_names(observation.topics, excluded, false);
  if (excluded.named_in(out.raw_response)) out.raw_response.clear();
  if (excluded.named_in(out.error)) out.error = "left out";
  return out;
}

Segment cleaned(const Segment& segment, Excluded& excluded) {
  Segment out = segment;
  out.description = without_sentences(segment.description, excluded);
  out.apps = without_names(segment.apps, excluded, true);
  out.topics = without_names(segment.topics, excluded, false);
  return out;
}

// One observation in order of time, with what is left of it.
struct Seen {
  double timestamp_s = 0;
  const Observation* kept = nullptr;  // null where it is left out
};

bool holds_left_out(std::span<const Seen> seen) {
  return std::any_of(seen.begin(), seen.end(), [](const Seen& s) { return s.kept == nullptr; });
}

// `segment` as the kept ones of its observations tell it.
Segment told_again(const Segment& segment, std::span<const Seen> seen) {
  Looks looks;
  std::deque<Look> kept;
  std::vector<Portion> portions;
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const double from_s = std::max(seen[i].timestamp_s, segment.start_s);
    const double to_s = i + 1 < seen.size() ? std::max(seen[i + 1].timestamp_s, segment.start_s) : segment.end_s;
    if (seen[i].kept == nullptr || !has_text(*seen[i].kept) || !(to_s > from_s)) continue;
    kept.push_back(looks.look(*seen[i].kept));
    portions.push_back({seen[i].kept, &kept.back(), to_s - from_s});
  }
  return portrait(portions, segment.start_s, segment.end_s, looks);
}

}  // namespace

Shared without_apps(std::span<const Observation> observations, std::span<const Segment> segments,
                    std::span<const std::string> excluded_apps) {
  Shared shared;
  Excluded excluded(excluded_apps);
  if (excluded.empty()) {
    shared.observations.assign(observations.begin(), observations.end());
    shared.segments.assign(segments.begin(), segments.end());
    return shared;
  }

  std::unordered_set<double> gone_at;  // timestamps of those left out, for the unchanged ones that share them
  std::vector<bool> gone(observations.size());
  for (std::size_t i = 0; i < observations.size(); ++i) {
    gone[i] = is_about_excluded(observations[i].apps, observations[i].description, excluded);
    if (gone[i] && !observations[i].source_timestamp_s) gone_at.insert(observations[i].timestamp_s);
  }
  for (std::size_t i = 0; i < observations.size(); ++i) {
    const auto& source = observations[i].source_timestamp_s;
    if (source && gone_at.contains(*source)) gone[i] = true;
  }
  shared.observations.reserve(observations.size());
  std::vector<Seen> seen;
  for (std::size_t i = 0; i < observations.size(); ++i) {
    if (!gone[i]) shared.observations.push_back(cleaned(observations[i], excluded));
    const bool tells = has_text(observations[i]) || gone[i];
    if (tells) seen.push_back({observations[i].timestamp_s, gone[i] ? nullptr : &shared.observations.back()});
  }
  std::stable_sort(seen.begin(), seen.end(),
                   [](const Seen& a, const Seen& b) { return a.timestamp_s < b.timestamp_s; });

  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    const auto from = i == 0 ? seen.begin()
                             : std::lower_bound(seen.begin(), seen.end(), segment.start_s,
                                                [](const Seen& s, double t) { return s.timestamp_s < t; });
    const auto to =
        std::lower_bound(from, seen.end(), segment.end_s, [](const Seen& s, double t) { return s.timestamp_s < t; });
    const std::span<const Seen> own(seen.data() + (from - seen.begin()), static_cast<std::size_t>(to - from));
    bool leave_out = is_about_excluded(segment.apps, segment.description, excluded);
    Segment kept;
    if (!leave_out && holds_left_out(own)) {
      kept = told_again(segment, own);
      leave_out = kept.apps.empty() && kept.topics.empty() && kept.description.empty();
    } else if (!leave_out) {
      kept = cleaned(segment, excluded);
    }
    if (leave_out) {
      shared.left_out_s += segment.end_s - segment.start_s;
    } else {
      shared.segments.push_back(std::move(kept));
    }
  }
  shared.apps = excluded.met();
  return shared;
}

}  // namespace escribano
