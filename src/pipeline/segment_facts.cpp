#include "pipeline/segment_facts.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "pipeline/markdown.h"
#include "pipeline/names.h"
#include "pipeline/sentences.h"
#include "pipeline/subject.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

constexpr std::size_t kLongestName = 80;
constexpr std::size_t kLongestSubject = 80;
constexpr std::size_t kLongestSentence = 240;

std::string clean(std::string_view text, std::size_t bytes) {
  return shortened(words::single_spaced(to_valid_utf8(text)), bytes);
}

bool take_word(std::string_view& text, std::string_view word) {
  if (text.size() <= word.size() || !words::equal_any_case(text.substr(0, word.size()), word)) return false;
  if (words::is_word(text[word.size()])) return false;
  text = words::trimmed(text.substr(word.size()));
  return true;
}

bool drop_word(std::string_view& text, std::string_view word) {
  if (text.size() <= word.size() || !words::equal_any_case(text.substr(text.size() - word.size()), word)) return false;
  if (!words::is_space(text[text.size() - word.size() - 1])) return false;
  text = words::trimmed(text.substr(0, text.size() - word.size()));
  return true;
}

// "... of the atlas-search project": from the words that lead to the project on, all goes.
std::string_view without_project(std::string_view text, std::string_view project) {
  const std::size_t at = project.empty() ? std::string_view::npos : words::find_word(text, project);
  if (at == std::string_view::npos) return text;
  std::string_view head = words::trimmed(text.substr(0, at));
  for (const std::string_view leading : {"the", "project", "repository", "of", "for", "in", "from", "to", "on"})
    drop_word(head, leading);
  return words::bare(head).size() > 2 ? head : text;
}

// "Visual Studio Code shows ...": without any spelling of the app.
void take_app(std::string_view& text, std::string_view app) {
  constexpr std::size_t kMostWords = 5;
  if (app.empty()) return;
  const std::string key = app_key(app);
  std::size_t end = 0;
  for (std::size_t n = 0; n < kMostWords && end < text.size(); ++n) {
    end = std::min(text.find(' ', end + 1), text.size());
    if (app_key(text.substr(0, end)) != key) continue;
    text = words::trimmed(text.substr(end));
    return;
  }
}

// "unit tests in Visual Studio Code": without the app.
std::string_view without_app(std::string_view text, std::string_view app) {
  const std::size_t at = text.rfind(" in ");
  if (app.empty() || at == std::string_view::npos || app_key(text.substr(at + 4)) != app_key(app)) return text;
  return words::trimmed(text.substr(0, at));
}

// From the thing on that something is done in or on: "query on the users table", "paused in metrics.go", "page 3 of
// a.pdf".
std::string_view thing_in(std::string_view text) {
  std::string_view thing = text;
  for (const std::string_view preposition : {" in ", " on ", " of ", " for ", " titled ", " called ", " named "}) {
    const std::size_t at = text.find(preposition);
    if (at == std::string_view::npos) continue;
    std::string_view behind = words::trimmed(text.substr(at + preposition.size()));
    const bool article = take_word(behind, "the");
    const bool titled = preposition.size() > 6;
    const std::string_view first = behind.substr(0, behind.find(' '));
    if ((article || titled || is_identifier(first)) && behind.size() < thing.size()) thing = behind;
  }
  return thing;
}

// A few words of `sentence` on what is shown, as a title: "Release checklist", "metrics.go". Without who shows it, the
// project and the kind of thing, up to the first comma.
std::string subject_of(std::string_view sentence, std::string_view app, std::string_view project) {
  std::string_view rest = sentence;
  for (const std::string_view who : {"The user", "A user", "The screenshot", "The screen", "The image", "The frame",
                                     "The person", "A person", "The developer"}) {
    if (take_word(rest, who)) break;
  }
  take_app(rest, app);
  for (const std::string_view verb : {"shows", "displays", "has", "runs", "sends", "compares", "is showing",
                                      "is displaying", "is", "appears to be"}) {
    if (take_word(rest, verb)) break;
  }
  for (const std::string_view opened : {"open with", "open on", "open to", "open at", "open in", "open"}) {
    if (take_word(rest, opened)) break;
  }
  const auto without_article = [&] {
    for (const std::string_view article : {"the", "a", "an"}) {
      if (take_word(rest, article)) break;
    }
  };
  without_article();
  std::size_t end = rest.find(',');
  for (const std::string_view end_mark : {"; ", ": ", " - ", " and its ", " with "})
    end = std::min(end, rest.find(end_mark));
  rest = without_app(words::trimmed(rest.substr(0, end)), app);
  // "editing the settings page" is told as it is.
  rest = without_project(rest, project);
  if (!rest.substr(0, rest.find(' ')).ends_with("ing")) rest = thing_in(rest);
  while (!rest.empty() && std::string_view(".;:!?").find(rest.back()) != std::string_view::npos) rest.remove_suffix(1);
  const std::string_view before = rest;
  for (const std::string_view kind :
       {"pull request", "documentation", "page", "sheet", "question", "message", "file", "document", "board"}) {
    take_word(rest, kind);
  }
  for (const std::string_view kind :
       {"open", "table", "board", "call", "dashboard", "session", "page", "sheet", "channel", "file"})
    drop_word(rest, kind);
  without_article();
  if (words::bare(rest).size() < 2) rest = before;
  return shortened(rest, kLongestSubject);
}

}  // namespace

std::vector<SegmentFacts> facts_of(std::span<const Segment> segments) {
  std::vector<SegmentFacts> all;
  all.reserve(segments.size());
  std::unordered_map<std::string, std::string> spellings;  // of projects, by key
  std::vector<std::string> projects;
  for (const Segment& segment : segments) {
    SegmentFacts facts{
        .start_s = segment.start_s, .end_s = segment.end_s, .activity = clean(segment.activity, kLongestName)};
    if (!segment.apps.empty()) facts.app = clean(segment.apps.front(), kLongestName);
    for (const std::string& topic : segment.topics) facts.topics.push_back(clean(topic, kLongestName));
    std::erase(facts.topics, "");
    const std::vector<std::string_view> parts = sentences(segment.description);
    if (!parts.empty()) facts.sentence = clean(parts.front(), kLongestSentence);
    const std::string_view project = project_in(segment.description);
    if (!project.empty()) {
      const auto [known, added] = spellings.emplace(topic_key(project), clean(project, kLongestName));
      facts.project = known->second;
      if (added) projects.push_back(known->second);
    }
    facts.seen = !facts.app.empty() || !facts.topics.empty() || !facts.sentence.empty() || facts.activity != "other";
    all.push_back(std::move(facts));
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    // A project that is known from elsewhere is recognised without the word "project" beside it.
    constexpr std::size_t kMostProjects = 50;
    for (std::size_t p = 0; p < std::min(projects.size(), kMostProjects) && all[i].project.empty(); ++p) {
      if (words::find_word(segments[i].description, projects[p]) != std::string_view::npos)
        all[i].project = projects[p];
    }
    all[i].subject =
        subject_of(all[i].sentence, segments[i].apps.empty() ? std::string_view() : all[i].app, all[i].project);
    if (all[i].subject.empty()) {
      for (std::size_t t = 0; t < std::min<std::size_t>(all[i].topics.size(), 3); ++t) {
        all[i].subject += (t == 0 ? "" : ", ") + all[i].topics[t];
      }
    }
  }
  return all;
}

std::vector<TimeSpent> time_spent(std::span<const SegmentFacts> facts, std::string SegmentFacts::*of) {
  std::vector<TimeSpent> spent;
  std::unordered_map<std::string, std::size_t> places;
  for (const SegmentFacts& segment : facts) {
    const std::string& name = segment.*of;
    if (name.empty()) continue;
    const auto [place, added] = places.emplace(name, spent.size());
    if (added) spent.push_back({name, 0});
    spent[place->second].seconds += segment.seconds();
  }
  std::stable_sort(spent.begin(), spent.end(),
                   [](const TimeSpent& a, const TimeSpent& b) { return a.seconds > b.seconds; });
  return spent;
}

}  // namespace escribano
