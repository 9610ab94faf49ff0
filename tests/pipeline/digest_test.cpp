// The artefacts that need no language model.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"
#include "pipeline/observations.h"
#include "pipeline/summary.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr ArtefactFormat kFormats[] = {ArtefactFormat::card, ArtefactFormat::standup, ArtefactFormat::narrative};

RecordingInfo sample_recording() {
  RecordingInfo info;
  info.path = "/recordings/session-a.mp4";
  info.duration_s = sample_duration_s();
  return info;
}

TEST(Digests, NameEveryAppAndProjectOfTheSample) {
  for (const ArtefactFormat format : kFormats) {
    const Artefact artefact = digest(sample_segments(), sample_recording(), {.format = format});
    EXPECT_EQ(artefact.model, "");
    EXPECT_EQ(artefact.format, format);
    for (const TruthSpan& span : sample_truth()) {
      EXPECT_THAT(artefact.text, HasSubstr(span.app));
      EXPECT_THAT(artefact.text, HasSubstr(span.project));
      EXPECT_THAT(artefact.text, HasSubstr(span.activity));
    }
    EXPECT_THAT(artefact.notes, ElementsAre("Put together from 10 segments without a language model."));
    EXPECT_THAT(artefact.text, HasSubstr(artefact.notes[0]));
    EXPECT_EQ(digest(sample_segments(), sample_recording(), {.format = format}), artefact);
  }
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::vector<Segment> two_segments(const std::string& text) {
  return {{.start_s = 0,
           .end_s = 60,
           .activity = "coding",
           .apps = {"App"},
           .topics = {"topic"},
           .description = "An editor."},
          {.start_s = 60,
           .end_s = 3800,
           .activity = "reading",
           .apps = {text, "x"},
           .topics = {text},
           .description = text}};
}

TEST(Digests, NothingOfAModelBreaksTheirForm) {
  for (const char* text : {"a\n# Heading\n- item",
                           "<script>alert(1)</script>",
                           "<img src=x onerror=y>",
                           "[link](http://evil.example)",
                           "![x](http://evil.example/a.png)",
                           "see http://evil.example now",
                           "www.evil.example",
                           "`code",
                           "**bold",
                           "_it_",
                           "| a | b |",
                           "&lt;b&gt; &#60;",
                           "~~x~~",
                           "mail@evil.example",
                           "$x$",
                           "javascript:alert(1)",
                           "\\",
                           "```\ncode",
                           "<http://evil.example>",
                           "[a]: http://evil.example",
                           "\xFF\xFE broken"}) {
    for (const ArtefactFormat format : kFormats) {
      const std::string odd = digest(two_segments(text), sample_recording(), {.format = format}).text;
      const std::string plain = digest(two_segments("plain"), sample_recording(), {.format = format}).text;
      EXPECT_EQ(lines(odd), lines(plain)) << text << odd;
      EXPECT_THAT(odd, Not(HasSubstr("<"))) << text;
      EXPECT_THAT(odd, Not(HasSubstr("]("))) << text;
      EXPECT_THAT(odd, Not(HasSubstr(" http"))) << text;
      EXPECT_THAT(odd, Not(HasSubstr(" www."))) << text;
      EXPECT_THAT(odd, Not(HasSubstr(" mail@"))) << text;
      EXPECT_THAT(odd, Not(HasSubstr(" `code "))) << text;
      EXPECT_THAT(odd, Not(HasSubstr(" **bold"))) << text;
      EXPECT_TRUE(is_valid_utf8(odd)) << text;
    }
  }
}

TEST(Digests, TakeAnyText) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Dice dice(seed);
    std::vector<Segment> segments;
    double at = 0;
    for (int i = dice.below(8); i > 0; --i) {
      const double end = at + dice.below(9000) / 7.0 + 0.1;
      segments.push_back({.start_s = at,
                          .end_s = end,
                          .activity = dice.text(10),
                          .apps = {dice.text(20)},
                          .topics = {dice.text(20)},
                          .description = dice.text(200)});
      at = end;
    }
    RecordingInfo info{.path = dice.text(20), .duration_s = at};
    for (const ArtefactFormat format : kFormats) {
      const Artefact artefact = digest(segments, info, {.format = format});
      ASSERT_TRUE(is_valid_utf8(artefact.text)) << seed;
      ASSERT_THAT(artefact.text, Not(HasSubstr("<")));
    }
  }
}

TEST(Digests, SayWhatWasLeftOut) {
  const auto text_of = [](double seconds, std::vector<std::string> apps) {
    return digest(two_segments("x"), sample_recording(), {.left_out_apps = std::move(apps), .left_out_s = seconds});
  };
  EXPECT_THAT(text_of(720, {"Messages", "Safari"}).text, HasSubstr("Left out: 12 min in Messages, Safari."));
  EXPECT_THAT(text_of(720, {"Messages", "Safari"}).notes,
              ElementsAre(HasSubstr("2 segments"), "Left out: 12 min in Messages, Safari."));
  EXPECT_THAT(text_of(0, {"Messages"}).text, HasSubstr("Left out: what shows Messages."));
  EXPECT_THAT(text_of(0, {}).text, Not(HasSubstr("Left out")));
}

TEST(Digests, WriteTimesWithHoursWhereThereAreSome) {
  const std::string text = digest(two_segments("x"), sample_recording(), {}).text;
  EXPECT_THAT(text, HasSubstr("- **0:00-1:00** coding in App: An editor."));
  EXPECT_THAT(text, HasSubstr("- **1:00-1:03:20** reading in x: x."));
  EXPECT_THAT(text, HasSubstr("reading 1 h 2 min (98 %)"));
}

TEST(Digests, OfNothingSayThatTheyAreOfNothing) {
  for (const ArtefactFormat format : kFormats) {
    EXPECT_THAT(digest({}, sample_recording(), {.format = format}).text, HasSubstr("nothing to tell"));
    const std::vector<Segment> unseen = {{.start_s = 0, .end_s = 180, .activity = "other"}};
    EXPECT_THAT(digest(unseen, sample_recording(), {.format = format}).text,
                HasSubstr(format == ArtefactFormat::card ? "nothing described" : "could be described for 3 min"));
  }
}

TEST(Digests, WorkWithoutAProjectIsTold) {
  const std::string text = digest(two_segments("a page"), sample_recording(), {.format = ArtefactFormat::standup}).text;
  EXPECT_THAT(text, HasSubstr("- **reading** for 1 h 2 min in a page.\n  Seen: a page.\n"));
}

}  // namespace
}  // namespace escribano
