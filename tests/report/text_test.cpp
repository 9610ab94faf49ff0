#include "report/text.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/clock_text.h"
#include "report/sample_report.h"
#include "report/timeline.h"

namespace escribano::report {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(ReportText, ALineHasNoControlCharactersAndSingleSpaces) {
  EXPECT_EQ(shown_line("  a\n\n b\t\x01 c  "), "a b c");
  EXPECT_EQ(shown_line("a\xE2\x80\xAE"
                       "b\xE2\x81\xA9"
                       "c\xEF\xBB\xBF"),
            "abc");
  EXPECT_EQ(shown_line("a\xE2\x80\xA8"
                       "b\xC2\x85"
                       "c"),
            "a b c");
  EXPECT_EQ(shown_line("\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x99\x82 \xFF"),
            "\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x99\x82 \xEF\xBF\xBD");
  EXPECT_EQ(shown_line("a\rb"), "a b");
  EXPECT_EQ(shown_text("a\r\n  b\n"), "a\n  b");
}

TEST(ReportText, TimesAreWrittenAsPeopleReadThem) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(83.99999999), "1:24");
  EXPECT_EQ(clock_text(3723.9), "1:02:03");
  EXPECT_EQ(clock_text(360'000), "100:00:00");
  EXPECT_EQ(clock_text(-5), "0:00");
  EXPECT_EQ(clock_text(std::numeric_limits<double>::quiet_NaN()), "0:00");
  EXPECT_EQ(length_text(0.4), "0.4 s");
  EXPECT_EQ(length_text(9.96), "10 s");
  EXPECT_EQ(length_text(59.7), "1 min");
  EXPECT_EQ(length_text(750), "12 min 30 s");
  EXPECT_EQ(length_text(3600), "1 h");
  EXPECT_EQ(length_text(7530), "2 h 6 min");
  EXPECT_EQ(length_text(std::numeric_limits<double>::infinity()), "0 s");
}

TEST(ReportText, ADateIsOnlyReadWhereItIsOne) {
  EXPECT_EQ(date_text("2026-01-31T12:00:00Z"), "31 January 2026, 12:00 UTC");
  EXPECT_EQ(date_text("2026-13-31T12:00:00Z"), "2026-13-31T12:00:00Z");
  EXPECT_EQ(date_text("yesterday"), "yesterday");
}

TEST(ReportTimeline, GapsAreWhatNoSegmentCovers) {
  const std::vector<Stretch> found = gaps(covered(small_report().segments), 120);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].start_s, 40);
  EXPECT_EQ(found[0].end_s, 60);
  EXPECT_EQ(found[1].start_s, 100);
  EXPECT_THAT(gaps(covered(sample_report().segments), 180), IsEmpty());
  EXPECT_THAT(gaps({}, 0), IsEmpty());
}

TEST(ReportTimeline, TicksAreAtRoundTimesAndFew) {
  EXPECT_THAT(axis_ticks(180, 8), ElementsAre(0, 30, 60, 90, 120, 150, 180));
  EXPECT_THAT(axis_ticks(0, 8), ElementsAre(0));
  for (const double length : {0.5, 7.0, 65.0, 1000.0, 10'800.0, 1e6, 1e9}) {
    EXPECT_LE(axis_ticks(length, 8).size(), 9U) << length;
  }
}

TEST(ReportTimeline, FramesAreInTheirSegmentAndUnchangedOnesTogether) {
  Report report = small_report();
  report.observations.back().timestamp_s = 100;  // the very end
  const auto groups = frames_by_segment(report);
  ASSERT_THAT(groups, SizeIs(3));
  ASSERT_THAT(groups[0], SizeIs(3));
  EXPECT_EQ(groups[0][1].first, 1U);
  EXPECT_EQ(groups[0][1].last, 2U);
  EXPECT_THAT(groups[1], SizeIs(4));
  EXPECT_THAT(groups[2], IsEmpty());
  report.observations[3].timestamp_s = 50;  // in the gap
  EXPECT_THAT(frames_by_segment(report)[2], SizeIs(1));
}

TEST(ReportTimeline, TimesThatAreNoneAreShownAsZero) {
  Report report = small_report();
  report.segments[0].start_s = -std::numeric_limits<double>::infinity();
  report.segments[1].end_s = std::numeric_limits<double>::quiet_NaN();
  const Report clean = shown(report);
  EXPECT_EQ(clean.segments[0].start_s, 0);
  EXPECT_EQ(clean.segments[1].end_s, 60);
  EXPECT_TRUE(std::isfinite(timeline_length_s(clean)));
}

}  // namespace
}  // namespace escribano::report
