// What segments are about, as texts name it.
#include "pipeline/segment_facts.h"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock_text.h"
#include "pipeline/observations.h"
#include "pipeline/sentences.h"
#include "pipeline/subject.h"
#include "pipeline/times.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;

TEST(Projects, AreFoundWhereADescriptionNamesThem) {
  const std::pair<const char*, const char*> kDescriptions[] = {
      {"TablePlus shows a query on the users table of the zephyr-weather database.", "zephyr-weather"},
      {"Zoom shows the Sprint planning call of the zephyr-weather team.", "zephyr-weather"},
      {"VS Code shows code of the repository payments-api.", "payments-api"},
      {"A commit in the escribano repo is shown.", "escribano"},
      {"The Escribano project is open.", "Escribano"},
      {"Postman sends PUT /profile to the ember-auth service, which answers.", "ember-auth"},
      {"A file in delta-sync is edited.", "delta-sync"},
      {"The project named willow_notes is open.", "willow_notes"},
      {"The current project is open.", ""},
      {"A Python project in VS Code.", ""},
      {"A GitHub repository is shown.", ""},
      {"A side-by-side view of two files in full-screen mode.", ""},
      {"A file router.go is edited in real-time.", ""},
      {"The user reads the news.", ""},
      {"", ""},
      {"project", ""},
  };
  for (const auto& [text, project] : kDescriptions) EXPECT_EQ(project_in(text), project) << text;
}

TEST(Identifiers, AreToldFromOrdinaryWords) {
  for (const char* word :
       {"payments-api", "audit_log", "router.go", "TablePlus", "#backend", "v1.2", "src/main.cpp", "x86"}) {
    EXPECT_TRUE(is_identifier(word)) << word;
  }
  for (const char* word :
       {"side-by-side", "real-time", "Terminal", "editing", "e.g.", "SQL", "12", "-", "", "e-mail", "x"}) {
    EXPECT_FALSE(is_identifier(word)) << word;
  }
}

TEST(Subjects, AreAFewWordsOnTheThing) {
  const auto subject = [](const char* app, const char* text) {
    const std::vector<Segment> one = {
        {.start_s = 0, .end_s = 1, .activity = "coding", .apps = {app}, .topics = {"a", "b"}, .description = text}};
    return facts_of(one).front().subject;
  };
  EXPECT_EQ(
      subject("TablePlus", "TablePlus shows a query on the users table of the zephyr-weather database and its rows."),
      "users");
  EXPECT_EQ(subject("Notion",
                    "Notion has the page API guidelines of the atlas-search project open, and text is being written."),
            "API guidelines");
  EXPECT_EQ(subject("VS Code", "VS Code is paused in metrics.go of the atlas-search project with a broken pipe."),
            "metrics.go");
  EXPECT_EQ(
      subject("Chrome", "Chrome shows the pull request Add webhook retries of the payments-api project, marked open."),
      "Add webhook retries");
  EXPECT_EQ(subject("Mail", "Mail has a draft titled Weekly update for the payments-api project, addressed to Maya."),
            "Weekly update");
  EXPECT_EQ(subject("Preview", "Preview shows page 3 of cost-report.pdf from the payments-api project."),
            "cost-report.pdf");
  EXPECT_EQ(subject("VS Code", "The user is writing unit tests for the parser in Visual Studio Code."),
            "writing unit tests for the parser");
  EXPECT_EQ(subject("iTerm2", "iTerm shows the output of git rebase."), "output of git rebase");
  EXPECT_EQ(subject("Slack", "Slack is open with the #engineering channel, where messages are."), "#engineering");
  EXPECT_EQ(subject("Slack", ""), "a, b");
  EXPECT_EQ(subject("Slack", "Slack"), "a, b");
}

TEST(SegmentFacts, OfAnyTextAreOnOneLine) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Dice dice(seed);
    const std::vector<Segment> one = {{.start_s = 0,
                                       .end_s = 1,
                                       .activity = dice.text(9),
                                       .apps = {dice.text(9)},
                                       .topics = {dice.text(9)},
                                       .description = dice.text(300)}};
    const SegmentFacts facts = facts_of(one).front();
    for (const std::string* text : {&facts.activity, &facts.app, &facts.project, &facts.subject, &facts.sentence}) {
      ASSERT_EQ(text->find('\n'), std::string::npos);
      ASSERT_LE(text->size(), 243u);
    }
  }
}

TEST(Sentences, DoNotEndInsideNamesAndAbbreviations) {
  EXPECT_THAT(sentences("A page, e.g. Home, of v1.2. It has index.html! Is it? Yes"),
              ElementsAre("A page, e.g. Home, of v1.2.", "It has index.html!", "Is it?", "Yes"));
  EXPECT_THAT(sentences("One line\nanother\n\n third. "), ElementsAre("One line", "another", "third."));
  EXPECT_THAT(sentences("He said \"No.\" Then (yes.) Etc. and so on."),
              ElementsAre("He said \"No.\"", "Then (yes.)", "Etc. and so on."));
  EXPECT_THAT(sentences(" \n ... "), ElementsAre("..."));
}

TEST(Times, AreWrittenAsPeopleDo) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(62.9), "1:02");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(clock_text(-5), "0:00");
  EXPECT_EQ(duration_text(0.4), "0 s");
  EXPECT_EQ(duration_text(59.6), "1 min");
  EXPECT_EQ(duration_text(200), "3 min 20 s");
  EXPECT_EQ(duration_text(720), "12 min");
  EXPECT_EQ(duration_text(3590), "1 h");
  EXPECT_EQ(duration_text(3900), "1 h 5 min");
  EXPECT_EQ(duration_text(7200), "2 h");
  EXPECT_EQ(duration_text(-1e300), "0 s");
}

}  // namespace
}  // namespace escribano
