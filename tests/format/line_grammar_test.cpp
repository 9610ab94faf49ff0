#include "format/line_grammar.h"

#include <random>
#include <set>
#include <type_traits>

#include <gtest/gtest.h>

#include "base/utf8.h"
#include "format/golden_lines.h"
#include "format/grammar_walk.h"
#include "format/parser.h"

namespace escribano {
namespace {

static_assert(sizeof(LineGrammar) <= 24 && std::is_trivially_copyable_v<LineGrammar>, "looking ahead copies it");

constexpr std::string_view kWhole = "description: x | activity: y | apps: [a] | topics: [b]";

// `count` golden lines behind their labels.
std::string labelled(std::size_t count) {
  std::string answer;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) answer += '\n';
    answer += "Frame " + std::to_string(i + 1) + ": " + std::string(kGoldenLines[i % kGoldenLines.size()]);
  }
  return answer;
}

bool is_answer(LineGrammar grammar, std::string_view text) { return grammar.advance(text) && grammar.can_end(); }

TEST(LineGrammar, AcceptsWhatTheDemoModelAnswers) {
  for (const std::string_view line : kGoldenLines) EXPECT_TRUE(is_answer(LineGrammar::single(), line)) << line;
  for (const std::size_t count : {1u, 2u, 3u, 4u, 6u, 12u, 120u}) {
    EXPECT_TRUE(is_answer(LineGrammar::frames(static_cast<int>(count)), labelled(count))) << count;
  }
}

TEST(LineGrammar, AcceptsWhatIsSaidToBeLegal) {
  for (const char* text : {
           "description: a. B, c; #d (e) 'f' \"g\" <div> C++ | activity: code review | apps: [] | topics: []",
           "description: <b> think, description, activity: x | activity: y | apps: [a-b, C++, .NET] | topics: [x's, "
           "(y)]",
           "description: \xC3\xA9t\xC3\xA9 \xE2\x80\x9Cq\xE2\x80\x9D \xF0\x9F\x98\x80 | activity: "
           "\xE7\xBC\x96\xE7\xA8\x8B | apps: [] | topics: [\xC3\xA9]",
           "description: -1 | activity: 2 | apps: [Chrome (Gmail, Calendar)] | topics: [a (b, c), d]",
       }) {
    EXPECT_TRUE(is_answer(LineGrammar::single(), text)) << text;
  }
}

TEST(LineGrammar, RefusesWhatIsNotTheForm) {
  for (const char* text : {
           " description: ",
           "Description: ",
           "Frame 1: ",
           "description:x",
           "description:  ",
           "description: |",
           "description: \"",
           "description: '",
           "description: `",
           "description: *",
           "description: [",
           "description: \xE2\x80\x9C",
           "description: x  ",
           "description: x|",
           "description: x\n",
           "description: x\t",
           "description: x\x7F",
           "description: ... |",
           "description: x | apps",
           "description: x | Activity",
           "description: x |  activity",
           "description: x | activity: .",
           "description: x | activity: y. |",
           "description: x | activity: (",
           "description: x | activity: y | apps: a",
           "description: x | activity: y | apps: [,",
           "description: x | activity: y | apps: [ ",
           "description: x | activity: y | apps: [a ,",
           "description: x | activity: y | apps: [a,b",
           "description: x | activity: y | apps: [a, ]",
           "description: x | activity: y | apps: [a,]",
           "description: x | activity: y | apps: [a ]",
           "description: x | activity: y | apps: [...]",
           "description: x | activity: y | apps: [a[",
           "description: x | activity: y | apps: [a|",
           "description: x | activity: y | apps: [\"",
           "description: x | activity: y | apps: [a\"",
           "description: x | activity: y | apps: [a\n",
           "description: x | activity: y | apps: [],",
           "description: x | activity: y | apps: [a] | topics: [b].",
           "description: x | activity: y | apps: [a] | topics: [b] ",
           "description: x | activity: y | apps: [a] | topics: [b]\n",
           "description: <think>",
           "description: a</think>",
           "description: <<tHiNk>",
           "description: x | activity: y | apps: [<think>",
           "description: description:",
           "description: x Description **:",
           "description: x | activity: y | apps: [Frame 1: description:",
       }) {
    EXPECT_FALSE(LineGrammar::single().accepts(text)) << text;
    // ... for its last byte alone.
    EXPECT_TRUE(LineGrammar::single().accepts(std::string_view(text).substr(0, 1)) || text[0] != 'd') << text;
  }
}

TEST(LineGrammar, TakesPunctuationMarksForNoWords) {
  EXPECT_TRUE(LineGrammar::single().accepts("description: .\xE2\x80\xA6x | "));
  EXPECT_FALSE(LineGrammar::single().accepts("description: .\xE2\x80\xA6 |"));
  EXPECT_TRUE(LineGrammar::single().accepts("description: .\xE2\x82\xAC |"));
  const std::string activity = "description: x | activity: ";
  EXPECT_TRUE(LineGrammar::single().accepts(activity + "a\xE2\x80\x94z | "));
  EXPECT_FALSE(LineGrammar::single().accepts(activity + "a\xE2\x80\x94 |"));
  EXPECT_TRUE(LineGrammar::single().accepts(activity + "reading (mail) | "));
  EXPECT_FALSE(LineGrammar::single().accepts(activity + "reading mail) |"));
}

TEST(LineGrammar, RefusesBytesThatAreNoCharacters) {
  LineGrammar text = LineGrammar::single();
  ASSERT_TRUE(text.advance("description: x"));
  for (const char* bytes : {"\x80", "\xBF", "\xC0", "\xC1\x80", "\xC2\x80", "\xC2\x9F", "\xC2x", "\xC2 ", "\xE0\x80",
                            "\xE0\x9F", "\xED\xA0", "\xE2\x82|", "\xF0\x8F", "\xF4\x90", "\xF5", "\xFF"}) {
    EXPECT_FALSE(text.accepts(bytes));
  }
  for (const char* bytes : {"\xC2\xA0", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBD",
                            "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "\xE2\x80\x9C"}) {
    EXPECT_TRUE(text.accepts(bytes));
  }
}

TEST(LineGrammar, DoesNotLetAFieldEndInsideACharacter) {
  LineGrammar text = LineGrammar::single();
  ASSERT_TRUE(text.advance("description: x \xE2\x82"));
  for (const char* bytes : {"|", " ", " |", "]", "a", "\xC3"}) EXPECT_FALSE(text.accepts(bytes));
  EXPECT_TRUE(text.accepts("\xAC | activity: "));
}

TEST(LineGrammar, EndsOnlyBehindTheLastList) {
  for (std::size_t length = 0; length < kWhole.size(); ++length) {
    LineGrammar grammar = LineGrammar::single();
    ASSERT_TRUE(grammar.advance(kWhole.substr(0, length)));
    EXPECT_FALSE(grammar.can_end() || grammar.must_end()) << kWhole.substr(0, length);
  }
  LineGrammar grammar = LineGrammar::single();
  ASSERT_TRUE(grammar.advance(kWhole));
  EXPECT_TRUE(grammar.can_end() && grammar.must_end());
  EXPECT_TRUE(grammar.accepts(""));
  EXPECT_FALSE(grammar.accepts("\n"));
}

TEST(LineGrammar, OfFramesWantsEachOfThemInOrder) {
  LineGrammar grammar = LineGrammar::frames(2);
  EXPECT_FALSE(grammar.accepts("description"));
  EXPECT_FALSE(grammar.accepts("Frame 2"));
  ASSERT_TRUE(grammar.advance("Frame 1: " + std::string(kWhole)));
  EXPECT_FALSE(grammar.can_end());
  EXPECT_FALSE(grammar.accepts("\nFrame 1") || grammar.accepts("\nFrame 3") || grammar.accepts("\n\n") ||
               grammar.accepts(" "));
  ASSERT_TRUE(grammar.advance("\nFrame 2: " + std::string(kWhole)));
  EXPECT_TRUE(grammar.can_end());
  EXPECT_FALSE(grammar.accepts("\nFrame 3"));
}

TEST(LineGrammar, OfNoFramesAcceptsNothing) {
  for (const int count : {0, -1}) {
    EXPECT_TRUE(LineGrammar::frames(count).can_end());
    EXPECT_FALSE(LineGrammar::frames(count).accepts("F"));
  }
}

TEST(LineGrammar, IsUnchangedByBytesThatAreNotLegal) {
  LineGrammar grammar = LineGrammar::single();
  ASSERT_TRUE(grammar.advance("description: x"));
  const LineGrammar before = grammar;
  EXPECT_FALSE(grammar.advance(" | activity: y | apps: [a]]"));
  EXPECT_EQ(grammar, before);
  EXPECT_TRUE(grammar.advance(" | activity: y"));
  EXPECT_NE(grammar, before);
}

TEST(LineGrammar, DoesNotDependOnHowTheBytesAreCut) {
  const std::string answer = labelled(3);
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    LineGrammar grammar = LineGrammar::frames(3);
    for (std::size_t at = 0; at < answer.size();) {
      const std::size_t length = 1 + random() % 12;
      ASSERT_TRUE(grammar.advance(std::string_view(answer).substr(at, length)));
      at += length;
    }
    EXPECT_TRUE(grammar.can_end());
  }
}

std::vector<unsigned char> random_choices(std::mt19937& random) {
  std::vector<unsigned char> choices(random() % 200);
  for (unsigned char& choice : choices) choice = static_cast<unsigned char>(random());
  return choices;
}

// The fields as the form itself defines them, without the parser: cut at the literals. Lists are compared as text.
std::string between(std::string_view line, std::string_view from, std::string_view to) {
  const std::size_t begin = line.find(from) + from.size();
  return std::string(line.substr(begin, line.find(to, begin) - begin));
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

void assert_fields(const std::optional<Description>& parsed, const std::string& line) {
  ASSERT_TRUE(parsed) << line;
  ASSERT_EQ(parsed->description, between(line, "description: ", " | activity: "));
  ASSERT_EQ(parsed->activity, between(line, " | activity: ", " | apps: ["));
  ASSERT_EQ(joined(parsed->apps), between(line, " | apps: [", "] | topics: ["));
  ASSERT_EQ(joined(parsed->topics), between(line, "] | topics: [", "]"));
  ASSERT_EQ(to_line(*parsed), line);
  ASSERT_TRUE(is_valid_utf8(line));
}

TEST(LineGrammar, AcceptsOnlyWhatTheParserReadsBackUnchanged) {
  std::mt19937 random(1);
  std::set<std::string> different;
  for (int round = 0; round < 20000; ++round) {
    const std::string line = walk(LineGrammar::single(), random_choices(random));
    ASSERT_FALSE(line.empty()) << "a dead end";
    assert_fields(parse_description(line), line);
    ASSERT_EQ(parse_frames(line, 1).front(), parse_description(line));
    different.insert(line);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(different.size(), 10000u) << "the walks reach too little";
}

TEST(LineGrammar, AcceptsOnlyFramesThatTheParserKeepsApart) {
  std::mt19937 random(2);
  for (int round = 0; round < 5000; ++round) {
    const int count = 1 + round % 5;
    std::vector<unsigned char> choices;
    for (int i = 0; i < count; ++i) {
      const std::vector<unsigned char> more = random_choices(random);
      choices.insert(choices.end(), more.begin(), more.end());
    }
    const std::string answer = walk(LineGrammar::frames(count), choices);
    ASSERT_FALSE(answer.empty()) << "a dead end";
    const std::vector<FrameAnswer> frames = parse_frame_answers(answer, static_cast<std::size_t>(count));
    std::string again;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ASSERT_TRUE(frames[i].description) << answer;
      const std::string label = "Frame " + std::to_string(i + 1) + ": ";
      ASSERT_EQ(frames[i].raw, label + to_line(*frames[i].description));
      again += (i > 0 ? "\n" : "") + label + to_line(*frames[i].description);
    }
    ASSERT_EQ(again, answer);
  }
}

}  // namespace
}  // namespace escribano
