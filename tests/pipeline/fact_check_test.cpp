// What a text may say of segments.
#include "pipeline/fact_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "pipeline/observations.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A bracket that means something, behind text.
bool has_link(const std::string& text) {
  std::size_t at = text.find("](");
  while (at != std::string::npos && at > 0 && text[at - 1] == '\\') at = text.find("](", at + 1);
  return at != std::string::npos;
}

const SaidFacts& sample() {
  static const SaidFacts facts(sample_segments());
  return facts;
}

void expect_said(const char* sentence) { EXPECT_EQ(sample().unsaid_in(sentence), std::nullopt) << sentence; }
void expect_unsaid(const char* sentence, const char* what) {
  const auto found = sample().unsaid_in(sentence);
  ASSERT_TRUE(found) << sentence;
  EXPECT_EQ(*found, what) << sentence;
}

TEST(FactCheck, NamesOfTheSegmentsMayBeSaid) {
  expect_said("TablePlus showed a query on the users table of zephyr-weather.");
  expect_said("Then came the Sprint planning call in Zoom, with Excel beside it.");
  expect_said("Worked on atlas-search in Visual Studio Code, Notion and Microsoft Excel.");
  expect_said("The file metrics.go was open in vscode.");
  expect_said("Queried the \"audit_log\" table, then `users`.");
  expect_said("I've looked at the Q3 budget.");
  expect_said("Debugging of atlas-search's metrics.go.");
  expect_said("TablePlus/Figma were open.");
  expect_said("Notion \xE2\x80\x94 \xE2\x80\x9CRelease checklist\xE2\x80\x9D board.");
  expect_said("**Zephyr-weather:** querying, then meeting.");
}

TEST(FactCheck, OtherNamesMayNot) {
  expect_unsaid("The pods of Kubernetes were restarted.", "Kubernetes");
  expect_unsaid("Worked on payments-api in Zoom.", "payments-api");
  expect_unsaid("Zephyr met zephyr-search.", "zephyr-search");
  expect_unsaid("Opened router.go in VS Code.", "router.go");
  expect_unsaid("Slack was open too.", "Slack");
  expect_unsaid("Looked at Google Chrome for a while.", "Google Chrome");
  expect_unsaid("Read the \"migration plan\" in Notion.", "migration plan");
  expect_unsaid("Ran `npm install` in Terminal.", "npm install");
  expect_unsaid("See https://evil.example/x for more.", "https://evil.example/x");
  expect_unsaid("Talked with Maya in Zoom.", "Maya");
  expect_unsaid("Wrote to someone@mail.example.", "someone@mail.example");
  expect_unsaid("On Monday the board was planned.", "Monday");
  expect_unsaid("Then reviewing in Notion.", "reviewing");
}

TEST(FactCheck, ClockTimesAreThoseOfTheSegments) {
  expect_said("From 0:00 to 0:12 TablePlus was open.");
  expect_said("**0:12-0:24** planning in Notion");
  expect_said(
      "0:12\xE2\x80\x93"
      "0:24 planning in Notion");
  expect_said("At 00:02:38 came Excel.");
  expect_said("It ended at 3:00.");
  expect_unsaid("At 0:33 came Excel.", "0:33");
  expect_unsaid("From 0:00 to 4:10 TablePlus was open.", "4:10");
  expect_unsaid("**0:12-0:31** planning", "0:12-0:31");
  expect_unsaid("Around 14:30 came a call.", "14:30");
}

TEST(FactCheck, DurationsAreThoseOfSegmentsAndWhatTheyAddUpTo) {
  expect_said("Querying took 76 s.");
  expect_said("Querying took 1 min 16 s, about 42 %.");
  expect_said("A session of 3 minutes.");
  expect_said("A session of three minutes.");
  expect_said("Zoom took 18 seconds, Excel 10s.");
  expect_said("TablePlus took about one minute.");
  expect_said("A 3-minute session.");
  expect_unsaid("Querying took 45 minutes.", "45 minutes");
  expect_unsaid("Querying took two hours.", "two hours");
  expect_unsaid("Querying took 2h.", "2h");
  expect_unsaid("The call took 33 s.", "33 s");
  expect_unsaid("Querying took 5 min 16 s.", "5 min 16 s");
  expect_unsaid("Querying took an hour.", "an hour");
  expect_unsaid("It was 83 % of the time.", "83");
}

TEST(FactCheck, LongDurationsMayBeRounded) {
  const SaidFacts facts(std::vector<Segment>{{.start_s = 0, .end_s = 6900, .activity = "coding", .apps = {"VS Code"}}});
  EXPECT_FALSE(facts.unsaid_in("Two hours of coding."));
  EXPECT_FALSE(facts.unsaid_in("1 h 55 min of coding."));
  EXPECT_FALSE(facts.unsaid_in("115 minutes of coding."));
  EXPECT_FALSE(facts.unsaid_in("1.9 hours of coding."));
  EXPECT_FALSE(facts.unsaid_in("1 hour and 55 minutes of coding until 1:55:00."));
  EXPECT_TRUE(facts.unsaid_in("Three hours of coding."));
  EXPECT_TRUE(facts.unsaid_in("1 h 45 min of coding."));
  EXPECT_TRUE(facts.unsaid_in("1.2 hours of coding."));
}

TEST(FactCheck, OtherNumbersAreCountsOrStandInTheSegments) {
  expect_said("10 segments of two projects in 6 applications.");
  expect_said("A call with four people.");
  expect_unsaid("Fixed 17 bugs.", "17");
  expect_unsaid("Fixed seven bugs.", "seven");
  expect_unsaid("Version v2.1 was open.", "v2.1");
}

TEST(FactCheck, HeadingsMayHaveCapitals) {
  EXPECT_FALSE(sample().unsaid_in("What Was Done Next", TextPlace::heading));
  EXPECT_TRUE(sample().unsaid_in("Work on payments-api", TextPlace::heading));
  EXPECT_TRUE(sample().unsaid_in("Slack", TextPlace::heading));
}

CheckedText check(const char* answer, bool truncated = false) { return checked_against(sample(), answer, truncated); }

TEST(FactCheck, InATimelineOnlyTheFirstWordHasACapitalOfItsOwn) {
  EXPECT_FALSE(sample().unsaid_in("0:24-0:42 Attended Sprint planning in Zoom", TextPlace::timeline));
  EXPECT_TRUE(sample().unsaid_in("0:24-0:42 meeting in Zoom: Incident review", TextPlace::timeline));
}

TEST(CheckedTexts, LoseWhatWasInventedAndKeepTheRest) {
  const CheckedText checked = check(
      "# My title\n\n## Done\n\n- Queried TablePlus.\n- Deployed Kubernetes for 45 minutes.\n- Met in Zoom. Talked to "
      "Maya. Planned in Notion.\n\n"
      "## Blockers\n\n- Waiting for Jonas and Priya.\n");
  EXPECT_EQ(checked.text, "## Done\n\n- Queried TablePlus.\n- Met in Zoom. Planned in Notion.\n");
  EXPECT_EQ(checked.removed, 3u);
  EXPECT_EQ(checked.kept, 3u);
  EXPECT_THAT(checked.unsaid, ElementsAre("Kubernetes", "Maya", "Jonas"));
}

TEST(CheckedTexts, OfHonestTextsStayAsTheyAre) {
  const char* text =
      "## Timeline\n\n- **0:00-0:12** querying in TablePlus on zephyr-weather: users\n  - in the audit_log table\n\nA "
      "*short* paragraph on "
      "`metrics.go`.\n\n1. Notion\n2. Zoom\n";
  const CheckedText checked = check(text);
  EXPECT_EQ(checked.text, text);
  EXPECT_EQ(checked.removed, 0u);
}

TEST(CheckedTexts, HoldNoLinksHtmlOrFences) {
  for (const char* text : {"<script>alert(1)</script> in TablePlus", "[Notion](http://evil.example) was open",
                           "![Notion](http://evil.example/a.png) was open", "<img src=x onerror=alert(1)>",
                           "Notion <a href='x'>is</a> open", "[a]: http://evil.example", "```html\n<b>x</b>\n```",
                           "> quoted <i>text</i>", "open `a [b](c) <d>", "javascript:alert(1)", "[x][y] and [z]",
                           "[ ](javascript:x)", "<!-- comment", "&lt;script&gt;", "[Noti\non](http://evil.example)"}) {
    const std::string out = check(text).text;
    EXPECT_THAT(out, Not(HasSubstr("<"))) << text << " -> " << out;
    EXPECT_THAT(out, Not(HasSubstr("]("))) << text << " -> " << out;
    EXPECT_THAT(out, Not(HasSubstr("http"))) << text << " -> " << out;
    EXPECT_THAT(out, Not(HasSubstr("```"))) << text << " -> " << out;
  }
  EXPECT_EQ(check("[Notion](http://evil.example) was open").text, "Notion was open\n");
}

TEST(CheckedTexts, LoseRepetitions) {
  std::string loop;
  for (int i = 0; i < 50; ++i) loop += "- Queried the users table in TablePlus.\n";
  const CheckedText checked = checked_against(sample(), loop, false);
  EXPECT_EQ(checked.text, "- Queried the users table in TablePlus.\n");
  EXPECT_EQ(checked.repeated, 49u);
}

TEST(CheckedTexts, LoseTheLineThatWasNotFinished) {
  EXPECT_EQ(check("- Met in Zoom.\n- Planned in Not", true).text, "- Met in Zoom.\n");
  EXPECT_EQ(check("Met in Zoom. Planned in Not", true).text, "Met in Zoom.\n");
  EXPECT_EQ(check("Planned in Not", true).text, "");
}

TEST(CheckedTexts, LoseHeadingsWithoutContentAtEveryLevel) {
  EXPECT_EQ(check("## A\n\n### B\n\nKubernetes by Maya.\n\n## C\n\nZoom was open.").text, "## C\n\nZoom was open.\n");
  EXPECT_EQ(check("## A\n### B\n").text, "");
}

TEST(CheckedTexts, OfAnyBytesAreValidAndHarmless) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    Dice dice(seed);
    std::string text;
    const char* kWords[] = {
        "TablePlus", "- ",  "\n",         "## ",  "**",           "`",          "<b>",  "[x](y)", "1 h",
        "0:12",      "\"",  "Kubernetes", "\n\n", "5 min",        "http://x.y", "12",   "%",      "zephyr-weather",
        ". ",        "and", "an hour",    "half", "\xE2\x80\x9C", "a@b.c",      "three"};
    for (int n = dice.below(60); n > 0; --n)
      text += dice.below(4) == 0 ? dice.text(10) : std::string(dice.pick(kWords)) + (dice.below(2) ? " " : "");
    const CheckedText checked = checked_against(sample(), text, dice.below(2) == 0);
    ASSERT_TRUE(is_valid_utf8(checked.text)) << seed;
    ASSERT_THAT(checked.text, Not(HasSubstr("<"))) << seed;
    ASSERT_FALSE(has_link(checked.text)) << seed;
    if (HasFatalFailure()) return;
  }
}

TEST(FactCheck, CountsTheSegmentsThatATextSpeaksOf) {
  EXPECT_EQ(sample().known_segments(), 10u);
  EXPECT_EQ(sample().mentioned_in(""), 0u);
  EXPECT_EQ(sample().mentioned_in("zephyr-weather"), 0u);
  EXPECT_EQ(sample().mentioned_in("Zoom, Excel; zephyr-weather"), 2u);
  EXPECT_EQ(sample().mentioned_in("TablePlus on zephyr-weather and atlas-search"), 3u);
}

}  // namespace
}  // namespace escribano
