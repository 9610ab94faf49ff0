// Artefacts that a language model writes.
//
// The segments are cut into parts that fit a prompt; where a part does not fit the model after all, its halves are
// tried. Each answer is checked against the segments of its part (fact_check.h). Then:
// - card: each segment has one line in the timeline: the model's, if it wrote one for this very range that says nothing
//   else than this segment, or ours.
// - standup, narrative: the texts of the parts are given to the model once more to make one of them, if they fit.
// What is left must speak of a third of the segments at least and be more than what was removed; otherwise the digest
// is the artefact.
#include "pipeline/summary.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/clock_text.h"
#include "base/utf8.h"
#include "format/prompts.h"
#include "pipeline/fact_check.h"
#include "pipeline/markdown.h"
#include "pipeline/segment_facts.h"
#include "pipeline/summary_notes.h"
#include "pipeline/times.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

constexpr std::size_t kCardPart = 12;  // segments a prompt; small models lose lines of longer ones
constexpr double kLeastMentioned = 1.0 / 3;

// A field of a line of the prompt: data that cannot end its field or line or look like a mark of a chat template.
std::string field(std::string_view text) {
  std::string out = words::single_spaced(to_valid_utf8(text));
  for (char& c : out) {
    if (c == '|') c = '/';
    if (c == '<' || c == '[') c = '(';
    if (c == '>' || c == ']') c = ')';
  }
  return out.empty() ? "-" : out;
}

std::string topics_of(const SegmentFacts& facts) {
  std::string text;
  for (const std::string& topic : facts.topics) text += (text.empty() ? "" : ", ") + topic;
  return text;
}

std::string range_of(const SegmentFacts& facts) { return clock_text(facts.start_s) + "-" + clock_text(facts.end_s); }

std::string project_of(const SegmentFacts& facts) {
  if (!facts.project.empty() || facts.topics.empty()) return facts.project;
  return facts.topics.front();
}

std::string prompt_line(const SegmentFacts& facts, ArtefactFormat format) {
  if (format == ArtefactFormat::card) {
    return fmt::format("{} {} | {} | {} | {}", range_of(facts), field(facts.activity), field(facts.app),
                       field(project_of(facts)), field(facts.subject));
  }
  return fmt::format("{} ({}) {} | {} | {} | {} | {}", range_of(facts), duration_text(facts.seconds()),
                     field(facts.activity), field(facts.app), field(facts.project), field(facts.sentence),
                     field(topics_of(facts)));
}

PromptKind prompt_kind(ArtefactFormat format) {
  switch (format) {
    case ArtefactFormat::standup: return PromptKind::standup;
    case ArtefactFormat::narrative: return PromptKind::narrative;
    case ArtefactFormat::card: break;
  }
  return PromptKind::summary;
}

// Our own line of a timeline.
std::string timeline_line(const SegmentFacts& facts) {
  std::string line = fmt::format("- **{}** ", range_of(facts));
  if (!facts.seen) return line + "nothing described";
  line += markdown_escaped(facts.activity);
  if (!facts.app.empty()) line += " in " + markdown_escaped(facts.app);
  if (!facts.project.empty()) line += " on " + markdown_escaped(facts.project);
  if (!facts.subject.empty()) line += ": " + markdown_escaped(facts.subject);
  return line;
}

// A list item that begins with a range of times.
struct TimeLine {
  std::string range;  // as range_of() writes it
  std::string text;   // with the range as one word at its beginning
};

std::optional<TimeLine> time_line(std::string_view line) {
  if (!line.starts_with("- ")) return std::nullopt;
  const std::string plain = words::plain_marks(line);
  const std::string_view body = words::bare(plain);
  TimeLine timed;
  std::size_t end = 0;
  int clocks = 0;
  while (end < body.size() && clocks < 2) {
    const std::size_t begin = end;
    while (end < body.size() && (words::is_digit(body[end]) || body[end] == ':')) ++end;
    std::string_view clock = body.substr(begin, end - begin);
    if (clock.find(':') == std::string_view::npos) return std::nullopt;
    while (clock.size() > 4 && clock.front() == '0')
      clock.remove_prefix(clock[1] == ':' ? 2 : 1);  // "00:12", "0:01:02"
    timed.range += (clocks == 0 ? "" : "-") + std::string(clock);
    if (++clocks == 1) {
      const std::size_t dash = body.find_first_not_of(' ', end);
      if (dash == std::string_view::npos || body[dash] != '-') return std::nullopt;
      end = std::min(body.find_first_not_of(' ', dash + 1), body.size());
    }
  }
  if (clocks < 2) return std::nullopt;
  timed.text = timed.range + std::string(body.substr(end));
  return timed;
}

// Segments of which something is known, as the model gets them.
struct Part {
  std::vector<Segment> segments;
  std::vector<SegmentFacts> facts;
};

struct Answer {
  Part part;
  std::string raw;
  CheckedText checked;
};

class Summary {
 public:
  Summary(std::span<const Segment> segments, IntelligenceService& llm, const SummaryOptions& options)
      : segments_(segments.begin(), segments.end()), facts_(facts_of(segments)), llm_(&llm), options_(&options) {}

  // The body of the artefact; empty where nothing useful came of it, and then a note says why.
  Result<std::string> body() {
    std::vector<Part> parts = cut();
    std::vector<Answer> answers;
    // Back to front, so that the halves of a part that was too long come next.
    std::reverse(parts.begin(), parts.end());
    while (!parts.empty()) {
      Part part = std::move(parts.back());
      parts.pop_back();
      Result<GeneratedText> text = ask(prompt_of(part));
      if (!text && text.error().code == Errc::context_full && part.segments.size() > 1) {
        auto [first, second] = halves(std::move(part));
        parts.push_back(std::move(second));
        parts.push_back(std::move(first));
        continue;
      }
      if (!text && text.error().code == Errc::context_full) text = GeneratedText{};
      if (!text) return fail(std::move(text).error());
      answers.push_back(checked(std::move(part), *text));
    }
    if (options_->format == ArtefactFormat::card) return card(answers);
    return prose(answers);
  }

  std::vector<std::string>& notes() noexcept { return notes_; }

 private:
  Result<GeneratedText> ask(const std::string& prompt) {
    if (options_->stop.stop_requested()) return fail(Errc::cancelled, "cancelled");
    GenerateOptions options;
    options.max_tokens = options_->max_tokens;
    options.deadline = options_->deadline;
    options.stop = options_->stop;
    return llm_->generate_text(prompt, options);
  }

  std::vector<Part> cut() const {
    std::vector<Part> parts;
    std::size_t bytes = 0;
    const std::size_t most = options_->format == ArtefactFormat::card ? kCardPart : segments_.size();
    const std::size_t frame = builtin_prompt(prompt_kind(options_->format)).size();
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      if (!facts_[i].seen) continue;
      const std::size_t line = prompt_line(facts_[i], options_->format).size() + 1;
      const bool full =
          !parts.empty() && (bytes + line > options_->max_prompt_bytes || parts.back().segments.size() == most);
      if (parts.empty() || full) {
        parts.emplace_back();
        bytes = frame;
      }
      parts.back().segments.push_back(segments_[i]);
      parts.back().facts.push_back(facts_[i]);
      bytes += line;
    }
    return parts;
  }

  static std::pair<Part, Part> halves(Part part) {
    const auto half = static_cast<std::ptrdiff_t>(part.segments.size() / 2);
    Part second;
    second.segments.assign(part.segments.begin() + half, part.segments.end());
    second.facts.assign(part.facts.begin() + half, part.facts.end());
    part.segments.resize(static_cast<std::size_t>(half));
    part.facts.resize(static_cast<std::size_t>(half));
    return {std::move(part), std::move(second)};
  }

  std::string prompt_of(const Part& part) const {
    std::string lines;
    for (const SegmentFacts& facts : part.facts)
      lines += (lines.empty() ? "" : "\n") + prompt_line(facts, options_->format);
    // The built-in prompts have no other placeholder.
    return fill(builtin_prompt(prompt_kind(options_->format)), {{"segments", lines}}).value_or(lines);
  }

  Answer checked(Part part, const GeneratedText& text) {
    Answer answer{.part = std::move(part), .raw = text.text};
    answer.checked = checked_against(SaidFacts(answer.part.segments), text.text, text.truncated);
    if (text.truncated) truncated_ = true;
    return answer;
  }

  void count(const CheckedText& checked) {
    kept_ += checked.kept;
    removed_ += checked.removed;
    repeated_ += checked.repeated;
    for (const std::string& what : checked.unsaid) {
      if (std::find(unsaid_.begin(), unsaid_.end(), what) == unsaid_.end()) unsaid_.push_back(what);
    }
  }

  void add_notes() {
    if (removed_ > 0) {
      constexpr std::size_t kMost = 5;
      std::string what;
      for (std::size_t i = 0; i < std::min(unsaid_.size(), kMost); ++i) {
        what += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", markdown_escaped(shortened(unsaid_[i], 60)));
      }
      if (unsaid_.size() > kMost) what += ", ...";
      notes_.push_back(
          removed_ == 1
              ? fmt::format("1 sentence was removed: it said what the segments do not ({}).", what)
              : fmt::format("{} sentences were removed: they said what the segments do not ({}).", removed_, what));
    }
    if (repeated_ > 0)
      notes_.push_back(fmt::format("{} that stood there before {} removed.",
                                   repeated_ == 1 ? "1 sentence" : fmt::format("{} sentences", repeated_),
                                   repeated_ == 1 ? "was" : "were"));
    if (truncated_) notes_.emplace_back("The language model's answer broke off; what was unfinished is left out.");
  }

  Result<std::string> card(const std::vector<Answer>& answers) {
    std::map<double, std::string> lines;  // by the segment's beginning
    bool complete = true;
    for (const Answer& answer : answers) {
      const std::map<double, std::string> own = timeline_of(answer, complete);
      lines.insert(own.begin(), own.end());
    }
    const std::size_t known = SaidFacts(segments_).known_segments();
    if (static_cast<double>(lines.size()) < kLeastMentioned * static_cast<double>(known))
      return useless(lines.size(), known);
    if (answers.size() == 1 && complete && lines.size() == known && known == segments_.size()) {
      count(answers.front().checked);
      add_notes();
      return answers.front().checked.text;
    }
    std::string text = fmt::format("{} segments, from {} to {}.\n\n## Timeline\n\n", facts_.size(),
                                   clock_text(facts_.front().start_s), clock_text(facts_.back().end_s));
    for (const SegmentFacts& facts : facts_) {
      const auto line = lines.find(facts.start_s);
      text += (line == lines.end() ? timeline_line(facts) : line->second) + "\n";
    }
    text += "\n## Overview\n\n";
    text += overview_line("Projects", &SegmentFacts::project) + overview_line("Applications", &SegmentFacts::app) +
            overview_line("Activities", &SegmentFacts::activity);
    if (truncated_) notes_.emplace_back("The language model's answer broke off; what was unfinished is left out.");
    if (lines.size() < known) {
      notes_.push_back(fmt::format(
          "{} of {} lines of the timeline were put together from the segments: what the language model wrote there "
          "was missing or not what they say.",
          known - lines.size(), known));
    }
    return text;
  }

  std::string overview_line(std::string_view label, std::string SegmentFacts::*of) const {
    std::string names;
    for (const TimeSpent& spent : time_spent(facts_, of))
      names += (names.empty() ? "" : ", ") + markdown_escaped(spent.name);
    return names.empty() ? std::string() : fmt::format("- {}: {}\n", label, names);
  }

  // The lines that the answer has for segments of its part. `complete` becomes false where it has others too, or not all.
  std::map<double, std::string> timeline_of(const Answer& answer, bool& complete) const {
    std::map<double, std::string> lines;
    std::string_view rest = answer.checked.text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(std::min(end + 1, rest.size()));
      const std::optional<TimeLine> timed = time_line(line);
      if (!timed) continue;
      const auto own = std::find_if(answer.part.facts.begin(), answer.part.facts.end(),
                                    [&](const SegmentFacts& facts) { return range_of(facts) == timed->range; });
      if (own == answer.part.facts.end() || lines.contains(own->start_s)) {
        complete = false;
        continue;
      }
      const auto index = static_cast<std::size_t>(own - answer.part.facts.begin());
      const SaidFacts said(std::span<const Segment>(answer.part.segments).subspan(index, 1));
      if (said.unsaid_in(timed->text, TextPlace::timeline) || said.mentioned_in(timed->text) == 0) {
        complete = false;
        continue;
      }
      lines.emplace(own->start_s, std::string(line));
    }
    if (lines.size() < answer.part.facts.size()) complete = false;
    return lines;
  }

  Result<std::string> prose(std::vector<Answer>& answers) {
    std::string text;
    for (Answer& answer : answers) {
      count(answer.checked);
      if (!answer.checked.text.empty()) text += (text.empty() ? "" : "\n") + answer.checked.text;
    }
    const SaidFacts said(segments_);
    if (answers.size() > 1 && !text.empty()) {
      ESCRIBANO_TRY(std::string whole, folded(text, said));
      if (!whole.empty()) text = std::move(whole);
    }
    const std::size_t known = said.known_segments();
    const std::size_t mentioned = said.mentioned_in(text);
    if (removed_ > kept_) {
      notes_.push_back(
          fmt::format("What the language model wrote was not used: {} of {} sentences said what the segments do not.",
                      removed_, removed_ + kept_));
      return std::string();
    }
    if (static_cast<double>(mentioned) < kLeastMentioned * static_cast<double>(known) || text.empty())
      return useless(mentioned, known);
    add_notes();
    return text;
  }

  // One text of those of all parts; empty where it does not fit or is no good.
  Result<std::string> folded(const std::string& texts, const SaidFacts& said) {
    const char* form = options_->format == ArtefactFormat::standup
                           ? "a note for a stand-up meeting in Markdown, of at most ten points that begin with \"- \""
                           : "a narrative of three to eight short paragraphs, in order of time";
    const std::string prompt =
        fill(builtin_prompt(PromptKind::fold), {{"parts", texts}, {"form", form}}).value_or(std::string());
    if (prompt.empty() || prompt.size() > options_->max_prompt_bytes) return std::string();
    Result<GeneratedText> answer = ask(prompt);
    if (!answer && answer.error().code == Errc::context_full) return std::string();
    if (!answer) return fail(std::move(answer).error());
    if (answer->truncated) return std::string();
    CheckedText checked = checked_against(said, answer->text, false);
    if (said.mentioned_in(checked.text) * 2 < said.mentioned_in(texts)) return std::string();
    count(checked);
    return std::move(checked.text);
  }

  std::string useless(std::size_t mentioned, std::size_t known) {
    notes_.clear();
    notes_.push_back(
        mentioned == 0 ? std::string("What the language model wrote was not used: it said nothing of the segments.")
                       : fmt::format("What the language model wrote was not used: it spoke of {} of {} segments only.",
                                     mentioned, known));
    return {};
  }

  const std::vector<Segment> segments_;
  const std::vector<SegmentFacts> facts_;
  IntelligenceService* llm_;
  const SummaryOptions* options_;
  std::vector<std::string> notes_;
  std::size_t kept_ = 0;  // sentences of answers
  std::size_t removed_ = 0;
  std::size_t repeated_ = 0;
  std::vector<std::string> unsaid_;
  bool truncated_ = false;
};

}  // namespace

Result<Artefact> summarise(std::span<const Segment> segments, const RecordingInfo& recording, IntelligenceService& llm,
                           const SummaryOptions& options) {
  const std::vector<SegmentFacts> facts = facts_of(segments);
  const bool anything = std::any_of(facts.begin(), facts.end(), [](const SegmentFacts& f) { return f.seen; });
  if (!anything) return digest(segments, recording, options);

  Summary summary(segments, llm, options);
  ESCRIBANO_TRY(const std::string body, summary.body());
  if (body.empty()) {
    Artefact artefact = digest(segments, recording, options);
    for (std::string& note : summary.notes()) add_note(artefact, std::move(note));
    return artefact;
  }
  Artefact artefact{.format = options.format, .model = options.model, .notes = std::move(summary.notes())};
  artefact.text = artefact_title(recording, options.format) + body;
  add_left_out_note(artefact.notes, options);
  append_notes(artefact);
  return artefact;
}

}  // namespace escribano
