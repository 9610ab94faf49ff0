#include "pipeline/activity.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/words.h"

namespace escribano {
namespace {

constexpr std::array<std::string_view, 14> kActivities = {"coding",   "debugging", "reviewing", "testing",   "reading",
                                                          "writing",  "messaging", "meeting",   "designing", "planning",
                                                          "querying", "analyzing", "terminal",  "other"};

struct Meaning {
  std::string_view word;
  std::string_view activity;
  int strength;  // the strongest word of a phrase decides, the first of equals: "code review" is no coding
};

// Words without their endings (stem()). 4: what a phrase is about wherever it stands; 3: a definite activity; 2: a
// thing that one does something with; 1: what one does with anything.
constexpr Meaning kMeanings[] = {
    {"review", "reviewing", 4},
    {"meet", "meeting", 4},
    {"standup", "meeting", 4},
    {"videocal", "meeting", 4},
    {"debug", "debugging", 3},
    {"troubleshot", "debugging", 3},
    {"troubleshoot", "debugging", 3},
    {"bugfix", "debugging", 3},
    {"diagnos", "debugging", 3},
    {"test", "testing", 3},
    {"qa", "testing", 3},
    {"design", "designing", 3},
    {"prototyp", "designing", 3},
    {"wirefram", "designing", 3},
    {"mockup", "designing", 3},
    {"draw", "designing", 3},
    {"sketch", "designing", 3},
    {"plan", "planning", 3},
    {"schedul", "planning", 3},
    {"brainstorm", "planning", 3},
    {"organiz", "planning", 3},
    {"organis", "planning", 3},
    {"triag", "planning", 3},
    {"roadmap", "planning", 3},
    {"query", "querying", 3},
    {"queri", "querying", 3},
    {"sql", "querying", 3},
    {"analyz", "analyzing", 3},
    {"analys", "analyzing", 3},
    {"analysi", "analyzing", 3},
    {"analytic", "analyzing", 3},
    {"profil", "analyzing", 1},
    {"monitor", "analyzing", 2},
    {"chart", "analyzing", 2},
    {"dashboard", "analyzing", 2},
    {"spreadsheet", "analyzing", 2},
    {"messag", "messaging", 3},
    {"chat", "messaging", 3},
    {"text", "messaging", 1},
    {"communicat", "messaging", 3},
    {"conversation", "messaging", 3},
    {"correspondenc", "messaging", 3},
    {"email", "messaging", 2},
    {"mail", "messaging", 2},
    {"inbox", "messaging", 2},
    {"discus", "messaging", 2},
    {"cal", "meeting", 2},
    {"videoconferenc", "meeting", 3},
    {"conferenc", "meeting", 3},
    {"conferencing", "meeting", 3},
    {"webinar", "meeting", 3},
    {"present", "meeting", 1},
    {"presentation", "meeting", 1},
    {"interview", "meeting", 3},
    {"cod", "coding", 2},
    {"program", "coding", 3},
    {"develop", "coding", 3},
    {"development", "coding", 3},
    {"refactor", "coding", 3},
    {"implement", "coding", 3},
    {"implementation", "coding", 3},
    {"script", "coding", 2},
    {"compil", "coding", 2},
    {"softwar", "coding", 1},
    {"commit", "coding", 1},
    {"merg", "coding", 1},
    {"databas", "querying", 2},
    {"tabl", "querying", 1},
    {"board", "planning", 1},
    {"task", "planning", 1},
    {"ticket", "planning", 1},
    {"kanban", "planning", 2},
    {"issu", "planning", 1},
    {"terminal", "terminal", 2},
    {"shel", "terminal", 2},
    {"bash", "terminal", 2},
    {"zsh", "terminal", 2},
    {"consol", "terminal", 2},
    {"cli", "terminal", 2},
    {"commandlin", "terminal", 2},
    {"command", "terminal", 1},
    {"deploy", "terminal", 1},
    {"deployment", "terminal", 1},
    {"writ", "writing", 1},
    {"draft", "writing", 2},
    {"edit", "writing", 1},
    {"typ", "writing", 1},
    {"document", "writing", 1},
    {"documentation", "writing", 1},
    {"visualiz", "analyzing", 2},
    {"notetak", "writing", 2},
    {"compos", "writing", 2},
    {"blog", "writing", 1},
    {"read", "reading", 2},
    {"brows", "reading", 2},
    {"research", "reading", 2},
    {"search", "reading", 1},
    {"learn", "reading", 2},
    {"study", "reading", 2},
    {"studi", "reading", 2},
    {"watch", "reading", 1},
    {"view", "reading", 1},
    {"scrol", "reading", 1},
    {"navigat", "reading", 1},
    {"look", "reading", 1},
    {"communication", "messaging", 3},
    {"visualization", "analyzing", 2},
    {"discussion", "messaging", 2},
};

// Where the words alone would say something else.
constexpr std::pair<std::string_view, std::string_view> kPhrases[] = {
    {"pull request", "reviewing"},
    {"merge request", "reviewing"},
    {"comparing versions", "reviewing"},
    {"video call", "meeting"},
    {"video chat", "meeting"},
    {"stand up", "meeting"},
    {"screen sharing", "meeting"},
    {"command line", "terminal"},
    {"reading code", "reading"},
    {"bug fixing", "debugging"},
    {"fixing a bug", "debugging"},
    {"fixing bugs", "debugging"},
    {"data entry", "analyzing"},
    {"reading documentation", "reading"},
    {"reading docs", "reading"},
    {"reading email", "reading"},
    {"reading emails", "reading"},
    {"reading mail", "reading"},
    {"writing email", "writing"},
    {"writing an email", "writing"},
    {"writing emails", "writing"},
    {"terminal work", "terminal"},
    {"terminal use", "terminal"},
    {"api call", "coding"},
    {"api calls", "coding"},
    {"file management", "other"},
    {"project management", "planning"},
    {"note taking", "writing"},
    {"taking notes", "writing"},
    {"text editing", "writing"},
};

// A word without the endings of English verbs and plurals: "debugging", "debugged" and "debugs" have one stem.
std::string stem(std::string word) {
  const auto cut = [&](std::string_view ending) {
    if (word.size() < ending.size() + 2 || !word.ends_with(ending)) return false;
    word.resize(word.size() - ending.size());
    return true;
  };
  if (!cut("ing") && !cut("ings") && !cut("ed") && !cut("ers") && !cut("er")) cut("s");
  if (word.size() > 3 && word.back() == 'e') word.pop_back();
  if (word.size() > 3 && word.back() == word[word.size() - 2]) word.pop_back();
  return word;
}

// The words of `text` in lower case; "codeReview", "code-review" and "code_review" have two.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> found;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!words::is_word(c)) {
      inside = false;
      continue;
    }
    const bool hump = i > 0 && words::is_upper(c) && words::is_lower(text[i - 1]);
    if (!inside || hump) found.emplace_back();
    inside = true;
    found.back() += words::lower(c);
  }
  return found;
}

std::optional<std::string_view> meaning_of_part(std::string_view part) {
  const std::vector<std::string> all = words_of(part);
  std::string phrase;
  for (const std::string& word : all) phrase += (phrase.empty() ? "" : " ") + word;
  // A known activity is itself whatever its stem would say.
  const auto known = std::find(kActivities.begin(), kActivities.end(), phrase);
  if (known != kActivities.end()) return *known;
  for (const auto& [text, activity] : kPhrases) {
    if (words::find_word(phrase, text) != std::string_view::npos) return activity;
  }
  const Meaning* best = nullptr;
  for (const std::string& word : all) {
    const std::string root = stem(word);
    for (const Meaning& meaning : kMeanings) {
      if (meaning.word == root && (best == nullptr || meaning.strength > best->strength)) best = &meaning;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->activity;
}

// The end of the alternative that begins `text`: "coding/debugging", "coding, testing", "coding and testing".
std::size_t part_end(std::string_view text) {
  const std::size_t mark = std::min(text.find_first_of("/,;|+&\n"), text.size());
  std::size_t end = mark;
  for (const std::string_view joint : {"and", "or", "while"}) {
    end = std::min(end, words::find_word(text.substr(0, mark), joint));
  }
  return end;
}

}  // namespace

std::span<const std::string_view> known_activities() noexcept { return kActivities; }

std::string_view normalised_activity(std::string_view activity) noexcept {
  // A model's word is short; what goes on for longer says nothing, and must not cost anything.
  constexpr std::size_t kLongest = 200;
  activity = activity.substr(0, kLongest);
  while (!activity.empty()) {
    const std::size_t end = part_end(activity);
    if (const std::optional<std::string_view> meaning = meaning_of_part(activity.substr(0, end))) return *meaning;
    if (end == activity.size()) break;
    activity.remove_prefix(end + 1);  // the mark, or the first letter of "and": the rest of it means nothing
  }
  return kActivities.back();
}

}  // namespace escribano
