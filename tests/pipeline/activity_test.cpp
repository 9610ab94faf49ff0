#include "pipeline/activity.h"

#include <algorithm>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/observations.h"

namespace escribano {
namespace {

TEST(Activities, AreTheFixedSetWithOtherAtItsEnd) {
  EXPECT_THAT(known_activities(),
              ::testing::ElementsAre("coding", "debugging", "reviewing", "testing", "reading", "writing", "messaging",
                                     "meeting", "designing", "planning", "querying", "analyzing", "terminal", "other"));
}

TEST(Activities, MapToThemselvesInAnyCaseAndPunctuation) {
  for (const std::string_view activity : known_activities()) {
    const std::string text(activity);
    EXPECT_EQ(normalised_activity(text), activity);
    EXPECT_EQ(normalised_activity("  **" + text + "**. "), activity);
    std::string upper = text;
    std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
    EXPECT_EQ(normalised_activity(upper), activity);
  }
}

TEST(Activities, WordsOfModelsAreUnderstood) {
  const std::pair<const char*, const char*> kWords[] = {
      {"programming", "coding"},
      {"Code editing", "coding"},
      {"editing code", "coding"},
      {"developing", "coding"},
      {"software development", "coding"},
      {"refactoring", "coding"},
      {"writing code", "coding"},
      {"Coding in Python", "coding"},
      {"code", "coding"},
      {"scripting", "coding"},
      {"debug", "debugging"},
      {"Debugger", "debugging"},
      {"bug fixing", "debugging"},
      {"troubleshooting", "debugging"},
      {"debugging code", "debugging"},
      {"Code review", "reviewing"},
      {"code-review", "reviewing"},
      {"codeReview", "reviewing"},
      {"pull request review", "reviewing"},
      {"reviewing pull request", "reviewing"},
      {"Pull request", "reviewing"},
      {"design review", "reviewing"},
      {"running tests", "testing"},
      {"Test", "testing"},
      {"unit testing", "testing"},
      {"QA", "testing"},
      {"browsing", "reading"},
      {"web browsing", "reading"},
      {"Browsing the web", "reading"},
      {"researching", "reading"},
      {"reading documentation", "reading"},
      {"studying", "reading"},
      {"viewing", "reading"},
      {"watching a video", "reading"},
      {"reading email", "reading"},
      {"writing an email", "writing"},
      {"drafting", "writing"},
      {"Document editing", "writing"},
      {"note taking", "writing"},
      {"note-taking", "writing"},
      {"typing", "writing"},
      {"editing", "writing"},
      {"emailing", "messaging"},
      {"Email", "messaging"},
      {"chatting", "messaging"},
      {"chat", "messaging"},
      {"communication", "messaging"},
      {"communicating", "messaging"},
      {"texting", "messaging"},
      {"video call", "meeting"},
      {"Video conference", "meeting"},
      {"calling", "meeting"},
      {"meeting with team", "meeting"},
      {"planning meeting", "meeting"},
      {"video conferencing", "meeting"},
      {"UI design", "designing"},
      {"prototyping", "designing"},
      {"wireframing", "designing"},
      {"drawing", "designing"},
      {"project planning", "planning"},
      {"project management", "planning"},
      {"scheduling", "planning"},
      {"brainstorming", "planning"},
      {"SQL", "querying"},
      {"SQL query", "querying"},
      {"querying database", "querying"},
      {"database querying", "querying"},
      {"queries", "querying"},
      {"data analysis", "analyzing"},
      {"analysing", "analyzing"},
      {"analysis", "analyzing"},
      {"Data Visualization", "analyzing"},
      {"monitoring", "analyzing"},
      {"command line", "terminal"},
      {"shell", "terminal"},
      {"using terminal", "terminal"},
      {"terminal work", "terminal"},
      {"command-line", "terminal"},
      {"debugging in terminal", "debugging"},
      {"unknown", "other"},
      {"", "other"},
      {"idle", "other"},
      {"none", "other"},
      {"gaming", "other"},
      {"...", "other"},
      {"n/a", "other"},
      {"\xE7\xBC\x96\xE7\xA8\x8B", "other"},
  };
  for (const auto& [said, meant] : kWords) EXPECT_EQ(normalised_activity(said), meant) << said;
}

TEST(Activities, OfSeveralTheFirstThatMeansSomethingCounts) {
  EXPECT_EQ(normalised_activity("coding/debugging"), "coding");
  EXPECT_EQ(normalised_activity("debugging, coding"), "debugging");
  EXPECT_EQ(normalised_activity("reading and writing"), "reading");
  EXPECT_EQ(normalised_activity("idle/meeting"), "meeting");
  EXPECT_EQ(normalised_activity("something or chatting"), "messaging");
  EXPECT_EQ(normalised_activity("browsing | coding"), "reading");
}

TEST(Activities, WordsThatOnlyLookAlikeMeanNothing) {
  for (const char* word : {"codex", "planet", "testament", "callous", "readme", "contest", "metering"}) {
    EXPECT_EQ(normalised_activity(word), "other") << word;
  }
}

TEST(Activities, AnyBytesBecomeAKnownOneThatStays) {
  Dice dice(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = dice.text(60);
    const std::string_view activity = normalised_activity(text);
    ASSERT_TRUE(std::count(known_activities().begin(), known_activities().end(), activity) == 1) << text;
    ASSERT_EQ(normalised_activity(activity), activity);
  }
  EXPECT_EQ(normalised_activity(std::string(1'000'000, '/')), "other");
}

}  // namespace
}  // namespace escribano
