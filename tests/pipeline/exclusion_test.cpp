#include "pipeline/exclusion.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/names.h"
#include "pipeline/observations.h"
#include "pipeline/segments.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string everything(const Shared& shared) {
  std::string all;
  const auto add = [&](const std::string& text) { all += " " + text; };
  for (const Observation& o : shared.observations) {
    for (const std::string* text : {&o.description, &o.activity, &o.raw_response, &o.error}) add(*text);
    for (const auto* list : {&o.apps, &o.topics}) std::for_each(list->begin(), list->end(), add);
  }
  for (const Segment& s : shared.segments) {
    add(s.description);
    for (const auto* list : {&s.apps, &s.topics}) std::for_each(list->begin(), list->end(), add);
  }
  return all;
}

std::vector<Observation> work_with_a_private_minute() {
  std::vector<Observation> all;
  for (int i = 0; i < 30; ++i) {
    if (i >= 10 && i < 16) {
      all.push_back(
          described(i * 10, "messaging", {"Messages", "VS Code"}, {"birthday"}, "Messages shows a chat with Anna."));
    } else {
      all.push_back(
          described(i * 10, "coding", {"VS Code", "Messages"}, {"payments"},
                    "VS Code has invoice.py open. A Messages window is behind it. It shows a chat with Anna."));
    }
  }
  return all;
}

TEST(Exclusion, LeavesOutWhatShowsTheAppAndSaysSo) {
  const auto all = work_with_a_private_minute();
  const auto segments = segment(all, 300, {});
  ASSERT_EQ(segments.size(), 3u);
  const std::vector<std::string> apps = {"imessage", "Telegram"};
  const Shared shared = without_apps(all, segments, apps);
  EXPECT_EQ(shared.observations.size(), 24u);
  ASSERT_EQ(shared.segments.size(), 2u);
  EXPECT_EQ(shared.left_out_s, 60);
  EXPECT_THAT(shared.apps, ElementsAre("Messages"));
  EXPECT_EQ(shared.segments[1].start_s, 160);
  EXPECT_EQ(shared.segments[0].description, "VS Code has invoice.py open.");
  EXPECT_THAT(shared.segments[0].apps, ElementsAre("VS Code"));
  for (const char* word : {"Anna", "birthday", "Messages"}) EXPECT_THAT(everything(shared), Not(HasSubstr(word)));
}

TEST(Exclusion, LeavesNothingOfAPrivateStretchThatJoinedOtherWork) {
  auto all = work_with_a_private_minute();
  all.erase(all.begin() + 12, all.begin() + 16);  // 20 s of it are left, in a gap of a minute
  for (std::size_t i = 10; i < all.size(); ++i) all[i].timestamp_s = static_cast<double>(i) * 10;
  const auto segments = segment(all, 260, {});
  ASSERT_EQ(segments.size(), 1u);
  const std::vector<std::string> apps = {"Messages"};
  const Shared shared = without_apps(all, segments, apps);
  ASSERT_EQ(shared.segments.size(), 1u);
  EXPECT_EQ(shared.left_out_s, 0);
  EXPECT_THAT(shared.segments[0].topics, ElementsAre("payments"));
  for (const char* word : {"Anna", "birthday", "Messages"}) EXPECT_THAT(everything(shared), Not(HasSubstr(word)));
}

TEST(Exclusion, RemovesTheSentencesThatNameTheAppAndNoOthers) {
  const std::vector<std::string> apps = {"Slack", "VS Code"};
  const auto left_of = [&](const char* text) {
    const std::vector<Observation> one = {described(0, "reading", {"Chrome"}, {}, text)};
    return without_apps(one, {}, apps).observations.at(0).description;
  };
  EXPECT_EQ(left_of("Chrome shows v1.2 of index.html, e.g. a page. A slack window is behind."),
            "Chrome shows v1.2 of index.html, e.g. a page.");
  EXPECT_EQ(left_of("Chrome shows a page next to Slack."), "");
  EXPECT_EQ(left_of("Slackware is installed. The slackline is long."),
            "Slackware is installed. The slackline is long.");
  EXPECT_EQ(left_of("A page is open. Visual Studio Code is behind. A dock is below."),
            "A page is open. A dock is below.");
  EXPECT_EQ(left_of("A page is open. The editor is VSCode! It shows main.py. The dock is below."),
            "A page is open. The dock is below.");
  EXPECT_EQ(left_of("Something, e.g. Slack, is open."), "");
  EXPECT_EQ(left_of("(Slack's) list.\nA page"), "A page");
}

TEST(Exclusion, NamesAreComparedAsApps) {
  const std::vector<std::string> apps = {"chrome"};
  const std::vector<Observation> all = {
      described(0, "reading", {"Google Chrome"}, {}, "A page."), described(1, "reading", {"Chromium"}, {}, "A page."),
      described(2, "reading", {"Terminal", "Inbox - Google Chrome", "Figma"}, {"chrome flags"}, "A page.")};
  const Shared shared = without_apps(all, {}, apps);
  ASSERT_EQ(shared.observations.size(), 2u);
  EXPECT_THAT(shared.observations[0].apps, ElementsAre("Chromium"));
  EXPECT_THAT(shared.observations[1].apps, ElementsAre("Terminal", "Figma"));
  EXPECT_THAT(shared.observations[1].topics, IsEmpty());
}

TEST(Exclusion, UnchangedFramesFollowTheirSource) {
  std::vector<Observation> all = {described(0, "messaging", {"Signal"}, {}, "A chat."),
                                  described(5, "coding", {"Zed"}, {}, "Code.")};
  all.push_back(
      Observation{.position = 2, .timestamp_s = 10, .status = ObservationStatus::unchanged, .source_timestamp_s = 0});
  all.push_back(
      Observation{.position = 3, .timestamp_s = 15, .status = ObservationStatus::unchanged, .source_timestamp_s = 5});
  const std::vector<std::string> apps = {"Signal"};
  const Shared shared = without_apps(all, {}, apps);
  ASSERT_EQ(shared.observations.size(), 2u);
  EXPECT_EQ(shared.observations[0].timestamp_s, 5);
  EXPECT_EQ(shared.observations[1].timestamp_s, 15);
}

TEST(Exclusion, WithoutAListOfAppsTheFirstSentenceCounts) {
  const std::vector<std::string> apps = {"Signal"};
  const std::vector<Observation> all = {described(0, "messaging", {}, {"secret"}, "Signal shows a chat with Bo."),
                                        described(1, "coding", {}, {"code"}, "An editor. Signal is behind.")};
  const Shared shared = without_apps(all, {}, apps);
  ASSERT_EQ(shared.observations.size(), 1u);
  EXPECT_EQ(shared.observations[0].description, "An editor.");
}

TEST(Exclusion, OfNothingChangesNothing) {
  const auto all = work_with_a_private_minute();
  const auto segments = segment(all, 300, {});
  for (const std::vector<std::string>& none : {std::vector<std::string>{}, {"", "  ", "--"}, {"Photoshop"}}) {
    const Shared shared = without_apps(all, segments, none);
    EXPECT_EQ(shared.observations, all);
    EXPECT_EQ(shared.segments, segments);
    EXPECT_THAT(shared.apps, IsEmpty());
    EXPECT_EQ(shared.left_out_s, 0);
  }
}

TEST(Exclusion, NoTextNamesTheAppWhateverTheInput) {
  const char* kApps[] = {"Slack",   "VS Code", "Visual Studio Code", "zoom.us", "Chrome",
                         "Foo Bar", "Zoom",    "Terminal",           "x"};
  const char* kWords[] = {"Slack", "slack", "Visual", "Studio",    "Code",    "code.",   "VSCode",  "zoom",
                          ".us",   "Foo",   "Bar",    "foo-bar",   "window.", "It",      "shows",   "e.g.",
                          "A",     "page",  "\n",     "Terminal,", "*Slack*", "(Slack)", "terminal"};
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    Dice dice(seed);
    const auto text = [&] {
      std::string out;
      for (int n = dice.below(12); n > 0; --n)
        out += (dice.below(5) == 0 ? dice.text(8) : std::string(dice.pick(kWords))) + (dice.below(4) ? " " : "");
      return out;
    };
    std::vector<Observation> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(described(i * 5, dice.below(5) ? "coding" : text(), {dice.pick(kApps), text()}, {text()}, text()));
      if (dice.below(6) == 0) all.back().raw_response = text();
    }
    const auto segments = segment(all, 100, {.min_segment_s = 10});
    const std::vector<std::string> apps = {"slack", "VS Code", "foo bar", "Terminal"};
    const std::string left = everything(without_apps(all, segments, apps));
    std::string lower = left;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return c < 128 ? std::tolower(c) : c; });
    const auto is_word = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
    };
    for (const std::string name : {"slack", "vs code", "vscode", "visual studio code", "foo bar", "terminal"}) {
      for (std::size_t at = lower.find(name); at != std::string::npos; at = lower.find(name, at + 1)) {
        const bool begins = at == 0 || !is_word(lower[at - 1]);
        const bool ends = at + name.size() == lower.size() || !is_word(lower[at + name.size()]);
        // Words of two texts that were put behind each other here are no name.
        ASSERT_FALSE(begins && ends && name.find(' ') == std::string::npos) << seed << ": " << name << " in " << left;
      }
    }
  }
}

}  // namespace
}  // namespace escribano
