#include <algorithm>
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
using testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// What is left of a line when characters behind a backslash are gone: what Markdown may act on.
std::string active(const std::string& line) {
  std::string rest;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else {
      rest += line[i];
    }
  }
  return rest;
}

TEST(ReportMarkdown, SaysWhatWasDoneWhen) {
  const std::string text = to_markdown(small_report());
  EXPECT_THAT(text, HasSubstr("# 2026-01-31 session-a.mp4\n\n- Recorded: 31 January 2026, 12:00 UTC\n"
                              "- Length: 1 min 40 s\n- Frames: 8 sampled, 3 described, 2 unchanged, 2 failed\n"));
  EXPECT_THAT(
      text,
      HasSubstr("| 0:00 \xE2\x80\x93 0:40 | 40 s | coding | VS Code, Terminal | search | A function is written. |\n"));
  EXPECT_THAT(
      text,
      HasSubstr("## Time by activity\n\n| activity | time |\n|---|---:|\n| coding | 40 s |\n| reading | 40 s |\n"));
  EXPECT_THAT(text, HasSubstr("- **0:10** same as at 0:00\n"));
  EXPECT_THAT(text, HasSubstr("- **0:30** failed (deadline\\_exceeded): the frame was not described within 60 s\n"));
  EXPECT_THAT(text, HasSubstr("- **1:30** not described yet\n"));
}

TEST(ReportMarkdown, TextsAreShownAndNeverActed) {
  for (const std::string& attack : attacks()) {
    const std::string text = to_markdown(report_with(attack));
    ASSERT_TRUE(is_valid_utf8(text)) << attack;
    for (const std::string& line : lines_of(text)) {
      const std::string rest = active(line);
      for (const char* markup : {"<", "`", "](", "![", "~", "_", "&", "://", "www."}) {
        EXPECT_THAT(rest, Not(HasSubstr(markup))) << line;
      }
      if (line.starts_with("|")) {
        const auto cells = std::count(rest.begin(), rest.end(), '|') - 1;
        EXPECT_TRUE(cells == 6 || cells == 2) << line;
      } else {
        EXPECT_TRUE(line.empty() || line.starts_with("# ") || line.starts_with("## ") || line.starts_with("- ") ||
                    line.starts_with("Made by "))
            << line;
      }
      EXPECT_LE(std::count(rest.begin(), rest.end(), '*'), 6) << line;  // bold time and italic activity are ours
    }
  }
}

TEST(ReportMarkdown, AnEmptyReportHasItsTitleAndFacts) {
  EXPECT_EQ(to_markdown({}),
            "# recording\n\n- Length: 0 s\n- Frames: 0 sampled, 0 described, 0 unchanged, 0 failed\n- Status: known\n");
}

TEST(ReportMarkdown, SaysWhatWasLeftOutAndWhatWasWrong) {
  const std::string text = to_markdown(sample_report());
  EXPECT_THAT(text, HasSubstr("- Left out: Messages\n"));
  EXPECT_THAT(text, HasSubstr("- Note: The picture is damaged from 97.2 s"));
}

}  // namespace
}  // namespace escribano
