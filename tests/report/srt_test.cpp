#include <array>
#include <cctype>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "base/utf8.h"
#include "report/report.h"
#include "report/sample_report.h"

namespace escribano {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Reads SubRip as players do: number, times, lines up to a blank one. Anything else fails the test.
struct Block {
  long start_ms = 0;
  long end_ms = 0;
  std::vector<std::string> lines;
};

// Reads "00:00:01,500 --> 00:01:00,000", in exactly this form.
bool read_times(const std::string& line, Block& block) {
  std::array<long, 8> n = {};
  int length = 0;
  const int read = std::sscanf(line.c_str(), "%ld:%2ld:%2ld,%3ld --> %ld:%2ld:%2ld,%3ld%n", &n[0], &n[1], &n[2], &n[3],
                               &n[4], &n[5], &n[6], &n[7], &length);
  if (read != 8 || static_cast<std::size_t>(length) != line.size()) return false;
  block.start_ms = ((n[0] * 60 + n[1]) * 60 + n[2]) * 1000 + n[3];
  block.end_ms = ((n[4] * 60 + n[5]) * 60 + n[6]) * 1000 + n[7];
  std::array<char, 80> again = {};
  std::snprintf(again.data(), again.size(), "%02ld:%02ld:%02ld,%03ld --> %02ld:%02ld:%02ld,%03ld", n[0], n[1], n[2],
                n[3], n[4], n[5], n[6], n[7]);
  return line == again.data();
}

// Whether a player may take something in the line for markup.
bool has_markup(const std::string& line) {
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    const char next = line[i + 1];
    if (line[i] == '<' && (std::isalpha(static_cast<unsigned char>(next)) != 0 || next == '/' || next == '!'))
      return true;
    if (line[i] == '{' && next == '\\') return true;
  }
  return false;
}

std::vector<Block> blocks(const std::string& srt) {
  std::vector<Block> found;
  std::istringstream lines(srt);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(line, std::to_string(found.size() + 1));
    Block block;
    const bool has_times = std::getline(lines, line) && read_times(line, block);
    EXPECT_TRUE(has_times) << line;
    if (!has_times) return found;
    while (std::getline(lines, line) && !line.empty()) block.lines.push_back(line);
    EXPECT_FALSE(block.lines.empty());
    EXPECT_GT(block.end_ms, block.start_ms);
    if (!found.empty()) {
      EXPECT_GE(block.start_ms, found.back().end_ms);
    }
    found.push_back(std::move(block));
  }
  return found;
}

TEST(ReportSrt, FramesWithTheSameTextAreOneSubtitle) {
  EXPECT_EQ(to_srt(small_report()),
            "1\n00:00:00,000 --> 00:00:30,000\nCoding \xC2\xB7 VS Code\nA function is written.\n\n"
            "2\n00:01:00,000 --> 00:01:10,000\nReading \xC2\xB7 Firefox\nA page about caches.\n\n"
            "3\n00:01:10,000 --> 00:01:20,000\nReading \xC2\xB7 Firefox\nA map of the weather.\n\n");
}

TEST(ReportSrt, TheSampleHasOneSubtitleForEachStretch) {
  const std::vector<Block> found = blocks(to_srt(sample_report()));
  // 11 spans; two that follow each other show the same; one has a failed frame in its middle.
  ASSERT_EQ(found.size(), 11U);
  EXPECT_EQ(found.front().start_ms, 0);
  EXPECT_EQ(found.back().end_ms, 180'000);
}

TEST(ReportSrt, TimeThatIsInNoSegmentHasNoSubtitle) {
  Report report = small_report();
  report.observations.erase(report.observations.begin() + 1, report.observations.begin() + 4);
  EXPECT_EQ(blocks(to_srt(report)).at(0).end_ms, 40'000);
}

TEST(ReportSrt, TheSameTextOnBothSidesOfAGapIsTwoSubtitles) {
  Report report = small_report();
  report.observations.erase(report.observations.begin() + 1, report.observations.begin() + 4);
  report.observations[1].description = report.observations[0].description;
  report.observations[1].activity = report.observations[0].activity;
  report.observations[1].apps = report.observations[0].apps;
  const std::vector<Block> found = blocks(to_srt(report));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[1].start_ms, 60'000);
}

TEST(ReportSrt, TheLastFrameHasALengthEvenAtTheVeryEnd) {
  Report report = small_report();
  report.observations.resize(1);
  report.observations[0].timestamp_s = 100;
  const std::vector<Block> found = blocks(to_srt(report));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].end_ms, 100'500);
}

TEST(ReportSrt, TimesBeyondAnHourAreWrittenInFull) {
  Report report = small_report();
  report.segments.clear();
  report.recording.info.duration_s = 36'600.5;
  report.observations.resize(1);
  report.observations[0].timestamp_s = 3'661.25;
  EXPECT_THAT(to_srt(report), HasSubstr("01:01:01,250 --> 10:10:00,500"));
}

TEST(ReportSrt, LinesHaveAtMostEightyCharacters) {
  Report report = small_report();
  report.observations[0].description = std::string(200, 'x') + " " + std::string(30, 'y') + " \xC3\xA9\xC3\xA9";
  for (const Block& block : blocks(to_srt(report))) {
    for (const std::string& line : block.lines) EXPECT_LE(line.size(), 82U);
  }
}

TEST(ReportSrt, NoTextCanBreakABlockOrBeMarkup) {
  for (const std::string& attack : attacks()) {
    const std::string srt = to_srt(report_with(attack));
    ASSERT_TRUE(is_valid_utf8(srt)) << attack;
    for (const Block& block : blocks(srt)) {
      for (const std::string& line : block.lines) {
        EXPECT_THAT(line, Not(HasSubstr("-->"))) << attack;
        EXPECT_FALSE(has_markup(line)) << line;
      }
    }
  }
}

TEST(ReportSrt, WithoutFramesThereIsNothing) { EXPECT_THAT(to_srt({}), IsEmpty()); }

}  // namespace
}  // namespace escribano
