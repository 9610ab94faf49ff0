// The page in chromium: what a person sees, does and must not be done to. tests/report/browser.py has the checks.
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "report/report.h"
#include "report/sample_report.h"
#include "report/text.h"
#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

constexpr int kNoBrowser = 3;

class ReportInBrowser : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) const {
    const Status written = write_file_atomically(folder_.path() / name, content);
    ASSERT_TRUE(written) << written.error().message;
  }
  void write_sample() const {
    write("sample.html", to_html(sample_report()));
    write("sample.json", to_json(sample_report()));
  }
  void check(const std::string& name) const {
    const CommandResult result =
        run_command({"/usr/bin/env", "python3", "-B", ESCRIBANO_SOURCE_DIR "/tests/report/browser.py",
                     folder_.path().native(), name},
                    {.deadline = std::chrono::seconds(240)});
#ifdef __APPLE__
    if (result.exit_code == kNoBrowser) GTEST_SKIP() << "chromium is not installed; the check runs on Linux";
#endif
    EXPECT_NE(result.exit_code, kNoBrowser) << "tools/setup.sh test installs chromium";
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    if (!result.out.empty()) RecordProperty("said", result.out);
  }

  TempFolder folder_;
};

TEST_F(ReportInBrowser, TheTimelineIsInProportionAndCanBeHoveredClickedAndTyped) {
  write_sample();
  check("timeline");
}

TEST_F(ReportInBrowser, GapsShowAndFailuresLeadToTheirFrames) {
  write("small.html", to_html(small_report()));
  check("gaps");
}

TEST_F(ReportInBrowser, FiltersLeaveExactlyTheFramesThatMatch) {
  write_sample();
  check("filters");
}

TEST_F(ReportInBrowser, NoTextIsRunLoadedOrChanged) {
  int number = 0;
  for (const std::string& attack : attacks()) {
    const std::string name = fmt::format("attack-{:02}", number++);
    write(name + ".html", to_html(report_with(attack)));
    write(name + ".txt", report::shown_line(attack));
    write(name + ".path.txt", report::shown_line("/recordings/" + attack));
  }
  check("attacks");
}

TEST_F(ReportInBrowser, SummariesHaveTabsAndCanBeCopied) {
  write_sample();
  check("summary");
}

TEST_F(ReportInBrowser, LightAndDarkDifferAndBothCanBeRead) {
  write_sample();
  check("schemes");
}

TEST_F(ReportInBrowser, APhoneShowsItWithoutScrollingSideways) {
  write_sample();
  check("phone");
}

TEST_F(ReportInBrowser, ItIsCompleteWithoutScripts) {
  write_sample();
  check("without_scripts");
}

TEST_F(ReportInBrowser, OnPaperEverythingIsOpen) {
  write_sample();
  check("print");
}

TEST_F(ReportInBrowser, AThousandFramesWithPicturesStayUsable) {
  write("long.html", to_html(long_report(1200)));
  check("long");
}

}  // namespace
}  // namespace escribano
