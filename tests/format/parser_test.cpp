#include "format/parser.h"

#include <chrono>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "format/golden_lines.h"

namespace escribano {

// So that a failure shows what was parsed.
void PrintTo(const Description& value, std::ostream* out) {
  const auto list = [&](const std::vector<std::string>& items) {
    for (const std::string& item : items) *out << " <" << item << ">";
  };
  *out << "{<" << value.description << "> <" << value.activity << "> apps:";
  list(value.apps);
  *out << " topics:";
  list(value.topics);
  *out << "}";
}

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Description kCoding{"Edits main.cpp.", "coding", {"VS Code"}, {"parsing", "tests"}};

struct Case {
  const char* name;
  std::string answer;
  std::optional<Description> expected;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class SingleAnswer : public ::testing::TestWithParam<Case> {};

TEST_P(SingleAnswer, IsParsedAsTheTableSays) { EXPECT_EQ(parse_description(GetParam().answer), GetParam().expected); }

// A literal with its zero bytes.
template <std::size_t N>
std::string bytes(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

const Case kWellFormed[] = {
    {"TheFormAsAskedFor",
     "description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]", kCoding},
    {"NoSpacesAroundSeparators", "description:Edits main.cpp.|activity:coding|apps:[VS Code]|topics:[parsing,tests]",
     kCoding},
    {"KeysInAnyCase", "Description: Edits main.cpp. | ACTIVITY: coding | Apps: [VS Code] | Topics: [parsing, tests]",
     kCoding},
    {"KeysInAnyOrder", "topics: [parsing, tests] | apps: [VS Code] | activity: coding | description: Edits main.cpp.",
     kCoding},
    {"TheDescriptionLastAndWordsBehindIt",
     "topics: [parsing, tests] | apps: [VS Code] | activity: coding | description: Edits\nmain.cpp.\n\nI hope this "
     "helps.",
     kCoding},
    {"EmptyLists", "description: A locked screen | activity: idle | apps: [] | topics: []",
     Description{"A locked screen", "idle", {}, {}}},
    {"TheActivityAsWritten", "description: x | activity: Code Review | apps: [] | topics: []",
     Description{"x", "Code Review", {}, {}}},
};
INSTANTIATE_TEST_SUITE_P(WellFormed, SingleAnswer, ::testing::ValuesIn(kWellFormed), case_name);

const Case kSloppy[] = {
    {"BoldKeysColonInside",
     "**Description:** Edits main.cpp. | **Activity:** coding | **Apps:** [VS Code] | **Topics:** [parsing, tests]",
     kCoding},
    {"BoldKeysColonOutside",
     "**description**: Edits main.cpp. | **activity**: coding | **apps**: [VS Code] | **topics**: [parsing, tests]",
     kCoding},
    {"BoldFields",
     "**description: Edits main.cpp.** | **activity: coding** | **apps: [VS Code]** | **topics: [parsing, tests]**",
     kCoding},
    {"CodeKeys", "`description`: Edits main.cpp. | `activity`: coding | `apps`: [VS Code] | `topics`: [parsing, tests]",
     kCoding},
    {"TheWholeLineAsCode",
     "`description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]`", kCoding},
    {"FieldsOnLinesOfTheirOwn",
     "description: Edits main.cpp.\nactivity: coding\napps: [VS Code]\ntopics: [parsing, tests]", kCoding},
    {"SeparatorsAtTheEndsOfLines",
     "description: Edits main.cpp. |\nactivity: coding |\napps: [VS Code] |\ntopics: [parsing, tests] |", kCoding},
    {"ATableRow", "| description: Edits main.cpp. | activity: coding | apps: VS Code | topics: parsing, tests |",
     kCoding},
    {"BlankLinesBetweenFields",
     "description: Edits main.cpp.\n\nactivity: coding\n\napps: [VS Code]\n\ntopics: [parsing, tests]\n", kCoding},
    {"BulletMarkers",
     "- description: Edits main.cpp.\n* activity: coding\n• apps: [VS Code]\n+ topics: [parsing, tests]", kCoding},
    {"BoldBullets",
     "* **Description:** Edits main.cpp.\n* **Activity:** coding\n* **Apps:** VS Code\n* **Topics:** parsing, tests",
     kCoding},
    {"NumberedFields",
     "1. description: Edits main.cpp.\n2. activity: coding\n3. apps: [VS Code]\n4. topics: [parsing, tests]", kCoding},
    {"Headings",
     "### Description: Edits main.cpp.\n### Activity: coding\n### Apps: VS Code\n### Topics: parsing, tests", kCoding},
    {"ValuesBelowTheirKeys",
     "**Description:**\nEdits main.cpp.\n**Activity:**\ncoding\n**Apps:**\nVS Code\n**Topics:**\nparsing, tests",
     kCoding},
    {"ListsAsBullets",
     "description: Edits main.cpp.\nactivity: coding\napps:\n- VS Code\ntopics:\n  * parsing\n  * tests\n\nDone.",
     kCoding},
    {"ListsOverSeveralLines",
     "description: Edits main.cpp.\nactivity: coding\napps: [\n  \"VS Code\"\n]\ntopics: [\n  \"parsing\",\n  "
     "\"tests\",\n]",
     kCoding},
    {"NoBrackets", "description: Edits main.cpp. | activity: coding | apps: VS Code | topics: parsing, tests.",
     kCoding},
    {"OtherBrackets", "description: Edits main.cpp. | activity: coding | apps: (VS Code) | topics: {parsing, tests}",
     kCoding},
    {"BracketsAroundEverything",
     "description: [Edits main.cpp.] | activity: [coding] | apps: [[VS Code]] | topics: [[parsing], [tests]]", kCoding},
    {"QuotedItems",
     "description: \"Edits main.cpp.\" | activity: 'coding' | apps: [\"VS Code\"] | topics: ['parsing', `tests`]",
     kCoding},
    {"BoldAndCurlyQuotedItems",
     "description: Edits main.cpp. | activity: coding | apps: [**VS Code**] | topics: [“parsing”, ‘tests’]", kCoding},
    {"TrailingPunctuation",
     "description: Edits main.cpp. | activity: coding. | apps: [VS Code]. | topics: [parsing, tests].", kCoding},
    {"Preamble",
     "Sure! Here is what I see:\n\ndescription: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: "
     "[parsing, "
     "tests]",
     kCoding},
    {"PreambleOnTheLine",
     "Here is the description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"PreambleThatEndsInTheKey",
     "The description: description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"TextBehind",
     "description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]\n\nI hope this "
     "helps: "
     "ask me about topics: more.",
     kCoding},
    {"CodeFence",
     "```text\ndescription: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]\n```",
     kCoding},
    {"FenceOnTheLine",
     "```description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]```", kCoding},
    {"ALabel",
     "**Frame 1:** description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"WindowsLineBreaks",
     "description: Edits main.cpp.\r\nactivity: coding\r\napps: [VS Code]\r\ntopics: [parsing, tests]\r\n", kCoding},
    {"OldMacLineBreaks", "description: Edits main.cpp.\ractivity: coding\rapps: [VS Code]\rtopics: [parsing, tests]",
     kCoding},
    {"TabsAndRunsOfSpaces",
     "description:\tEdits   main.cpp.\t|  activity:  coding | apps: [ VS\tCode ] | topics: [  parsing ,  tests  ]",
     kCoding},
    {"NoSeparatorBehindAList",
     "description: Edits main.cpp. | activity: coding | apps: [VS Code], topics: [parsing, tests]", kCoding},
    {"EmptyItems",
     "description: Edits main.cpp. | activity: coding | apps: [, VS Code, ...] | topics: [parsing, , \"\", tests, -]",
     kCoding},
    {"NoneWithoutBrackets", "description: x | activity: idle | apps: none | topics: N/A.",
     Description{"x", "idle", {}, {}}},
    {"AListWithoutItsEndBeforeTheNextKey",
     "description: Edits main.cpp. | activity: coding | apps: [VS Code | topics: [parsing, tests]", kCoding},
    {"AListWithoutItsEndOnALineOfItsOwn",
     "description: Edits main.cpp.\nactivity: coding\napps: [VS Code\ntopics: [parsing, tests\n\nDone.", kCoding},
    {"AQuoteWithoutItsEnd",
     "description: Edits main.cpp. | activity: coding | apps: [\"VS Code] | topics: [\"parsing, \"tests\"]", kCoding},
    {"ADescriptionOfSeveralLines",
     "description: Edits\nmain.cpp.\n | activity: coding\n(I am sure.) | apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"ControlCharacters",
     bytes(
         "desc\0ription: Edits\x1B main.cpp.\x7F | activity: cod\x01ing | apps: [VS\xC2\x80 Code] | topics: [parsing, "
         "te\bsts]"),
     kCoding},
};
INSTANTIATE_TEST_SUITE_P(Sloppy, SingleAnswer, ::testing::ValuesIn(kSloppy), case_name);

const Case kTextThatLooksLikeForm[] = {
    {"APipeInADescription", "description: Runs cat a | grep b in a shell | activity: coding | apps: [] | topics: []",
     Description{"Runs cat a | grep b in a shell", "coding", {}, {}}},
    {"AKeyInADescriptionWithoutSeparator",
     "description: The form asks for activity: and topics: [x] | activity: reading | apps: [] | topics: []",
     Description{"The form asks for activity: and topics: [x]", "reading", {}, {}}},
    {"AnAppWithAKeyForAName", "description: x | activity: reading | apps: [topics: x, Mail] | topics: [activity: y]",
     Description{"x", "reading", {"topics: x", "Mail"}, {"activity: y"}}},
    {"AQuotedAppWithASeparator", "description: x | activity: reading | apps: [\"a | topics: b\", Mail] | topics: [c]",
     Description{"x", "reading", {"a | topics: b", "Mail"}, {"c"}}},
    {"CommasInQuotes", "description: x | activity: reading | apps: [\"Notes, mostly\", Mail] | topics: [\"a, b\"]",
     Description{"x", "reading", {"Notes, mostly", "Mail"}, {"a, b"}}},
    {"CommasInParentheses", "description: x | activity: reading | apps: [Chrome (Gmail, Calendar), Mail] | topics: []",
     Description{"x", "reading", {"Chrome (Gmail, Calendar)", "Mail"}, {}}},
    {"CommasInBrackets", "description: x | activity: reading | apps: [VS Code [a.h, a.cpp], Mail] | topics: []",
     Description{"x", "reading", {"VS Code [a.h, a.cpp]", "Mail"}, {}}},
    {"AParenthesisWithoutItsEnd", "description: x | activity: reading | apps: [Chrome (Gmail, Mail] | topics: [a), b]",
     Description{"x", "reading", {"Chrome (Gmail", "Mail"}, {"a)", "b"}}},
    {"Apostrophes", "description: 'tis Lena's | activity: reading | apps: ['Lena's Mail', Bob's] | topics: [users']",
     Description{"'tis Lena's", "reading", {"Lena's Mail", "Bob's"}, {"users'"}}},
    {"QuotesThatEncloseParts", "description: \"a\" and \"b\" | activity: reading | apps: [] | topics: []",
     Description{"\"a\" and \"b\"", "reading", {}, {}}},
    {"AnActivityOfSeveralWords", "description: x | activity: *reading (mail)*. | apps: [] | topics: []",
     Description{"x", "reading (mail)", {}, {}}},
    {"PunctuationAroundAnActivity",
     "description: x | activity: \xE2\x80\x9Creading\xE2\x80\x9D \xE2\x80\x93 | apps: [\xE2\x80\xA6] | topics: []",
     Description{"x", "reading", {}, {}}},
    {"InvalidUtf8",
     "description: a\xFF"
     "b | activity: reading | apps: [\xC3\xA9, \xE2\x82] | topics: []",
     Description{"a\xEF\xBF\xBD"
                 "b",
                 "reading",
                 {"\xC3\xA9", "\xEF\xBF\xBD"},
                 {}}},
};
INSTANTIATE_TEST_SUITE_P(TextThatLooksLikeForm, SingleAnswer, ::testing::ValuesIn(kTextThatLooksLikeForm), case_name);

const Case kFaultsOfTheReference[] = {
    {"AnEmptyListDoesNotSwallowWhatFollows",
     "description: x | activity: reading | apps: [] | topics: [a, b]\ndescription: y | activity: z | apps: [c] | "
     "topics: []",
     Description{"x", "reading", {}, {"a", "b"}}},
    {"AnEmptyListOnALineDoesNotEither", "description: x\nactivity: reading\napps:\ntopics: [a]",
     Description{"x", "reading", {}, {"a"}}},
    {"NoStrayBracketOnTheLastTopic", "description: x | activity: reading | apps: a, b] | topics: [c, d]]",
     Description{"x", "reading", {"a", "b"}, {"c", "d"}}},
    {"NoAnswerInsideAThinkBlock",
     "<think>description: x | activity: y | apps: [] | topics: []</think>\ndescription: Edits main.cpp. | activity: "
     "coding | apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"ATruncatedLastField", "description: x | activity: reading | apps: [a] | topics: [b, conc", std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(FaultsOfTheReference, SingleAnswer, ::testing::ValuesIn(kFaultsOfTheReference), case_name);

const Case kThinking[] = {
    {"AnUnclosedBlockReachesToTheEnd", "<think>I see code.\ndescription: x | activity: y | apps: [] | topics: []",
     std::nullopt},
    {"ABlockWhoseBeginningWasInThePrompt",
     "description: x | activity: y | apps: [] | topics: []\n</think>\n\ndescription: Edits main.cpp. | activity: "
     "coding | "
     "apps: [VS Code] | topics: [parsing, tests]",
     kCoding},
    {"ATagInsideABlock",
     "<think>no <think> here</THINK>description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: "
     "[parsing, "
     "tests]",
     kCoding},
    {"ThoughtBehindTheAnswer",
     "description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]<think>done",
     kCoding},
    {"AnEmptyBlock",
     "<think>\n\n</think>\n\ndescription: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, "
     "tests]",
     kCoding},
};
INSTANTIATE_TEST_SUITE_P(Thinking, SingleAnswer, ::testing::ValuesIn(kThinking), case_name);

const Case kNoDescription[] = {
    {"Nothing", "", std::nullopt},
    {"Prose", "The user edits main.cpp in VS Code.", std::nullopt},
    {"NoDescriptionField", "activity: reading | apps: [a] | topics: [b]", std::nullopt},
    {"NoActivityField", "description: x | apps: [a] | topics: [b]", std::nullopt},
    {"NoAppsField", "description: x | activity: reading | topics: [b]", std::nullopt},
    {"NothingButPunctuationMarks", "description: \xE2\x80\xA6 | activity: \xE2\x80\x94 | apps: [a] | topics: [b]",
     std::nullopt},
    {"NoTopicsField", "description: x | activity: reading | apps: [a]", std::nullopt},
    {"EmptyDescription", "description: | activity: reading | apps: [a] | topics: [b]", std::nullopt},
    {"EmptyActivity", "description: x | activity: | apps: [a] | topics: [b]", std::nullopt},
    {"TheFormRepeatedAsItIs", "description: ... | activity: ... | apps: [...] | topics: [...]", std::nullopt},
    {"CutOffBehindTheLastKey", "description: x | activity: reading | apps: [a] | topics:", std::nullopt},
    {"CutOffInAListOfSeveralLines", "description: x\nactivity: reading\napps: [a]\ntopics: [\n \"b\",\n \"c",
     std::nullopt},
    {"TwoHalvesAreNotOne", "description: x | activity: reading\nactivity: coding | apps: [a] | topics: [b]",
     std::nullopt},
    {"TwoLabelledHalvesAreNotOne", "Frame 1: description: x | activity: reading\nFrame 2: apps: [a] | topics: [b]",
     std::nullopt},
    {"Json", R"({"description": "x", "activity": "reading", "apps": ["a"], "topics": ["b"]})", std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(NoDescription, SingleAnswer, ::testing::ValuesIn(kNoDescription), case_name);

TEST(SingleAnswerInSeveralAttempts, TheFirstCompleteOneWins) {
  EXPECT_EQ(
      parse_description("description: ... | activity: ... | apps: [...] | topics: [...]\n"
                        "description: x | activity: reading\n"
                        "description: Edits main.cpp. | activity: coding | apps: [VS Code] | topics: [parsing, tests]\n"
                        "description: y | activity: z | apps: [] | topics: []"),
      kCoding);
}

TEST(SingleAnswerOfTheDemoModel, IsParsed) {
  for (const std::string_view line : kGoldenLines) {
    const std::optional<Description> parsed = parse_description(line);
    ASSERT_TRUE(parsed) << line;
    EXPECT_EQ(to_line(*parsed), line);
  }
}

// ---- several frames ---------------------------------------------------------------------------------------------------

// A line whose fields all carry `mark`, so that one that strays is seen.
std::string line(const std::string& mark) {
  return "description: D" + mark + " | activity: a" + mark + " | apps: [A" + mark + "] | topics: [T" + mark + "]";
}

std::optional<Description> marked(const std::string& mark) {
  return Description{"D" + mark, "a" + mark, {"A" + mark}, {"T" + mark}};
}

struct BatchCase {
  const char* name;
  std::string answer;
  std::vector<std::optional<Description>> expected;
};

void PrintTo(const BatchCase& test, std::ostream* out) { *out << test.name; }

class BatchAnswer : public ::testing::TestWithParam<BatchCase> {};

TEST_P(BatchAnswer, IsParsedAsTheTableSays) {
  EXPECT_EQ(parse_frames(GetParam().answer, GetParam().expected.size()), GetParam().expected);
}

std::string batch_case_name(const ::testing::TestParamInfo<BatchCase>& info) { return info.param.name; }

const std::vector<std::optional<Description>> kBoth = {marked("1"), marked("2")};

const BatchCase kLabelled[] = {
    {"AsAskedFor", "Frame 1: " + line("1") + "\nFrame 2: " + line("2"), kBoth},
    {"OutOfOrder", "Frame 2: " + line("2") + "\nFrame 1: " + line("1"), kBoth},
    {"Bold", "**Frame 1:** " + line("1") + "\n\n**Frame 2**: " + line("2"), kBoth},
    {"BoldWithBoldKeys",
     "**Frame 1:**\n**description:** D1\n**activity:** a1\n**apps:** [A1]\n**topics:** [T1]\n\n**Frame 2:**\n- "
     "**description:** D2\n- **activity:** a2\n- **apps:** A2\n- **topics:** T2",
     kBoth},
    {"Headings", "### Frame 1\n" + line("1") + "\n### Frame 2 (timestamp: 3.5s)\n" + line("2"), kBoth},
    {"Timestamps", "Frame 1 (timestamp: 0.0s): " + line("1") + "\nFrame 2 (12.5s): " + line("2"), kBoth},
    {"TimesBehindAt", "Frame 1 at 0.0s: " + line("1") + "\nFrame 2 at 3s " + line("2"), kBoth},
    {"OutOfHowMany", "Frame 1 of 2: " + line("1") + "\nFrame 2/2: " + line("2"), kBoth},
    {"OtherWords", "Image 1: " + line("1") + "\nSCREENSHOT #2: " + line("2"), kBoth},
    {"Brackets", "[Frame 1] " + line("1") + "\n[Frame 2]: " + line("2"), kBoth},
    {"Bullets", "- Frame 1: " + line("1") + "\n2. Frame 2: " + line("2"), kBoth},
    {"Dashes", "Frame 1 - " + line("1") + "\nFrame 2. " + line("2"), kBoth},
    {"WindowsLineBreaks", "Frame 1:\r\n" + line("1") + "\r\n\r\nFrame 2:\r\n" + line("2") + "\r\n", kBoth},
    {"CodeFence", "Here you are:\n```\nFrame 1: " + line("1") + "\nFrame 2: " + line("2") + "\n```\nDone.", kBoth},
    {"AllOnOneLine", "Frame 1: " + line("1") + " Frame 2: " + line("2"), kBoth},
    {"AllOnOneLineWithSeparators", "Frame 1: " + line("1") + " | **Frame 2:** " + line("2"), kBoth},
    {"BareNumbers", "1. " + line("1") + "\n2. " + line("2"), kBoth},
    {"BareNumbersInBrackets", "[1] " + line("1") + "\n[2]: " + line("2"), kBoth},
    {"NumberedFieldsAreNotFrames",
     "Frame 1:\n1. description: D1\n2. activity: a1\n3. apps: [A1]\n4. topics: [T1]\nFrame 2:\n1. description: D2\n2. "
     "activity: a2\n3. apps: [A2]\n4. topics: [T2]",
     kBoth},
    {"APreambleThatNamesFrames", "Frame 1 and Frame 2 look alike.\nFrame 1: " + line("1") + "\nFrame 2: " + line("2"),
     kBoth},
    {"OneFrameWithoutALabel", line("1"), {marked("1")}},
    {"NoFrames", "Frame 1: " + line("1"), {}},
};
INSTANTIATE_TEST_SUITE_P(Labelled, BatchAnswer, ::testing::ValuesIn(kLabelled), batch_case_name);

const BatchCase kFaultsInBatches[] = {
    {"AnEmptyListDoesNotSwallowTheNextFrame",
     "Frame 1: description: D1 | activity: a1 | apps: [] | topics: []\nFrame 2: " + line("2"),
     {Description{"D1", "a1", {}, {}}, marked("2")}},
    {"AnEmptyListWithoutBracketsDoesNotEither",
     "Frame 1: description: D1 | activity: a1 | apps: | topics:\nFrame 2: " + line("2"),
     {Description{"D1", "a1", {}, {}}, marked("2")}},
    {"AFrameThatLacksFieldsDoesNotTakeItsNeighbours",
     "Frame 1: description: D1 | activity: a1\nFrame 2: " + line("2"),
     {std::nullopt, marked("2")}},
    {"NorThoseOfItsNeighbourBefore",
     "Frame 1: " + line("1") + "\nFrame 2: apps: [A2] | topics: [T2]",
     {marked("1"), std::nullopt}},
    {"NorOnOneLine",
     "Frame 1: description: D1 | activity: a1 | apps: [A1] Frame 2: " + line("2"),
     {std::nullopt, marked("2")}},
    {"NorThoseOfAFrameQuotedInItsDescription",
     "Frame 1: description: D1 Frame 2: " + line("2"),
     {std::nullopt, std::nullopt}},
    {"NorThoseOfANeighbourWithoutALabel",
     "Frame 1: description: D1 | activity: a1\n" + line("2") + "\nFrame 3: " + line("3"),
     {std::nullopt, std::nullopt, marked("3")}},
    {"TheFormRepeatedInAFrameIsNoNeighbour",
     "Frame 1: description: ... | activity: ... | apps: [...] | topics: [...]\n" + line("1") +
         "\nFrame 2: " + line("2"),
     kBoth},
    {"AListWithoutItsEndDoesNotReachIntoTheNextFrame",
     "Frame 1: description: D1 | activity: a1 | apps: [A1] | topics: [T1\nFrame 2: " + line("2"), kBoth},
    {"AFrameInsideAThinkBlockDoesNotWin",
     "<think>\nFrame 1: " + line("x") + "\nFrame 2: " + line("y") + "\n</think>\nFrame 1: " + line("1") +
         "\nFrame 2: " + line("2"),
     kBoth},
    {"NorInABlockThatIsNeverClosed",
     "Frame 1: " + line("1") + "\n<think>\nFrame 2: " + line("2"),
     {marked("1"), std::nullopt}},
    {"ATruncatedFrame",
     "Frame 1: " + line("1") + "\nFrame 2: description: D2 | activity: a2 | apps: [A2] | topics: [T",
     {marked("1"), std::nullopt}},
    {"AMissingFrame", "Frame 1: " + line("1") + "\nFrame 3: " + line("3"), {marked("1"), std::nullopt, marked("3")}},
    {"NumbersOutOfRange",
     "Frame 0: " + line("0") + "\nFrame 1: " + line("1") + "\nFrame 3: " + line("3") +
         "\nFrame 4294967298: " + line("x") + "\nFrame 2: " + line("2"),
     kBoth},
    {"AFrameOutOfRangeStillEndsTheOneBefore",
     "Frame 1: description: D1 | activity: a1\nFrame 7: " + line("7"),
     {std::nullopt}},
    {"OfTwoSectionsTheFirstCompleteOneWins",
     "Frame 1: description: D | activity: a\nFrame 1: " + line("1") + "\nFrame 1: " + line("x") +
         "\nFrame 2: " + line("2"),
     kBoth},
    {"HalvesUnderTheSameLabelAreNotMerged",
     "Frame 1: description: D1 | activity: a1\nFrame 1: apps: [A1] | topics: [T1]",
     {std::nullopt}},
    {"WithoutLabelsNothingIsAssigned", line("1") + "\n" + line("2"), {std::nullopt, std::nullopt}},
};
INSTANTIATE_TEST_SUITE_P(FaultsOfTheReference, BatchAnswer, ::testing::ValuesIn(kFaultsInBatches), batch_case_name);

TEST(FrameAnswers, CarryThePartOfTheAnswerThatIsAboutThem) {
  const auto frames =
      parse_frame_answers("Sure:\r\nFrame 1: " + line("1") + "\r\n\r\nFrame 2: a \xFFterminal\x1B\r\n", 3);
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0], (FrameAnswer{marked("1"), "Frame 1: " + line("1")}));
  EXPECT_EQ(frames[1], (FrameAnswer{std::nullopt, "Frame 2: a \xEF\xBF\xBDterminal"}));
  EXPECT_EQ(frames[2], (FrameAnswer{std::nullopt, ""}));
}

TEST(FrameAnswers, OfSeveralSectionsCarryTheOneThatWasParsedElseTheFirst) {
  const auto frames =
      parse_frame_answers("Frame 1: first\nFrame 2: first\nFrame 1: " + line("1") + "\nFrame 2: second", 2);
  EXPECT_EQ(frames[0].raw, "Frame 1: " + line("1"));
  EXPECT_EQ(frames[1].raw, "Frame 2: first");
}

TEST(FrameAnswers, OfTheDemoModelAreParsed) {
  std::string answer;
  for (std::size_t i = 0; i < kGoldenLines.size(); ++i) {
    answer += (i > 0 ? "\nFrame " : "Frame ") + std::to_string(i + 1) + ": " + std::string(kGoldenLines[i]);
  }
  const auto frames = parse_frames(answer, kGoldenLines.size());
  for (std::size_t i = 0; i < kGoldenLines.size(); ++i) {
    ASSERT_TRUE(frames[i]);
    EXPECT_EQ(to_line(*frames[i]), kGoldenLines[i]);
  }
}

// ---- cost -------------------------------------------------------------------------------------------------------------

std::string repeated(std::string_view part, std::size_t bytes) {
  std::string out;
  out.reserve(bytes + part.size());
  while (out.size() < bytes) out += part;
  return out;
}

double seconds_to_parse(const std::string& answer) {
  const auto start = std::chrono::steady_clock::now();
  parse_description(answer);
  parse_frames(answer, 4);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

const std::string kOpen = "Frame 1: description: x | activity: y | apps: ";

// The longest of these takes about 2 s in a release build; anything quadratic takes days.
TEST(ParserCost, OfTheLongestLineOfTheProtocolIsLinear) {
  constexpr std::size_t kBytes = std::size_t{8} << 20;
  for (const char* part : {"a,", "\"a,'b,`c,", "\n- a", "| apps: [\"", "Frame 1: description: ", "<think></think>"}) {
    EXPECT_LT(seconds_to_parse(kOpen + repeated(part, kBytes)), 60.0) << "for many of " << part;
  }
}

// Shorter, so that there can be many: still minutes for anything quadratic, and some ten milliseconds for these.
TEST(ParserCost, IsLinearWhateverTheAnswerSays) {
  constexpr std::size_t kBytes = std::size_t{256} << 10;
  // clang-format off
  constexpr const char* kParts[] = {
      "|", "\n", " ", "a", "a |", "\"", "'", "`", "*", "_", "[", "]", "(", ")", "[]", "a,", "a]", "\"a,", "[(",
      "(a,", ",[", "description:", "description: ", "| description:", "\ndescription: x", "| activity: y",
      "| apps: [", "\napps:", "\n- ", "| topics", "|****", "description****", "d", "Frame ", "Frame 1", "Frame 1:",
      "Frame 1 (", "] Frame 1: description: x", "\nFrame 1:", "\nFrame 1 - ", "\nframe", "1", "1.", "\n1.",
      "\n1. description: x", "<", "<think>", "</think>", "<think", "\n```", "```", "\xFF", "\xE2\x82", "\x01", "\r",
      "\xE2\x80\x9C", "\xE2\x80\x9C\xE2\x80\x9D", "\xE2\x80\xA2", "{"};
  // clang-format on
  for (const char* part : kParts) {
    for (const std::string& before : {std::string(), kOpen, kOpen + "[", kOpen + "[\""}) {
      EXPECT_LT(seconds_to_parse(before + repeated(part, kBytes)), 10.0) << "for " << before << " and many of " << part;
    }
  }
}

}  // namespace
}  // namespace escribano
