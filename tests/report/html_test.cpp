#include <algorithm>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "report/html_parts.h"
#include "report/page_check.h"
#include "report/report.h"
#include "report/sample_report.h"

namespace escribano {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::vector<Tag> tags_of(const std::string& html) {
  std::vector<Tag> tags;
  EXPECT_EQ(problem_in(html, tags), "");
  return tags;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// What is between the tags, and in attributes: the page without its script, style and data.
std::string body_of(const std::string& html) {
  const std::size_t from = html.find("<body>");
  return html.substr(from, html.find("<script type=\"application/json\"") - from);
}

TEST(ReportHtml, HasEverySegmentAndFrameWithoutAScript) {
  const Report report = sample_report();
  const std::string body = body_of(to_html(report));
  for (const Segment& segment : report.segments) EXPECT_THAT(body, HasSubstr(segment.description));
  EXPECT_EQ(count_of(body, "<article class=\"card segment"), report.segments.size());
  EXPECT_EQ(count_of(body, "class=\"span a-"), report.segments.size());
  EXPECT_THAT(body, HasSubstr("3 minutes across two projects"));
  EXPECT_THAT(body, HasSubstr("Time by app"));
  EXPECT_THAT(body, HasSubstr("1 min 16 s"));
  EXPECT_THAT(body, HasSubstr("31 January 2026, 12:00 UTC"));
  EXPECT_THAT(body, HasSubstr("The picture is damaged from 97.2 s"));
  EXPECT_THAT(body, HasSubstr("Left out on request, with their frames and time: Messages."));
}

TEST(ReportHtml, UnchangedFramesAreOneLineAndFailuresSayWhy) {
  const std::string body = body_of(to_html(small_report()));
  EXPECT_THAT(body, HasSubstr("same as at 0:00 \xC2\xB7 2 frames"));
  EXPECT_THAT(body,
              HasSubstr("Not described after 3 attempts: the frame was not described within 60 s (deadline_exceeded)"));
  EXPECT_THAT(body, HasSubstr("\xE2\x80\x9CI see a screen.\xE2\x80\x9D"));
  EXPECT_THAT(body, HasSubstr("Not described yet."));
  EXPECT_THAT(body, HasSubstr("0:40 to 1:00: nothing to show"));
}

TEST(ReportHtml, NothingIsLoadedFromAnywhere) {
  for (const Tag& tag : tags_of(to_html(sample_report()))) {
    for (const auto& [name, value] : tag.attributes) {
      EXPECT_THAT(name,
                  Not(AnyOf(StartsWith("on"), testing::Eq("style"), testing::Eq("srcset"), testing::Eq("action"))))
          << tag.name;
      if (name == "src") {
        EXPECT_THAT(value, StartsWith("data:image/jpeg;base64,"));
      }
      if (name == "href") {
        EXPECT_THAT(value, AnyOf(StartsWith("#"), StartsWith("data:image/svg+xml,")));
      }
    }
  }
}

TEST(ReportHtml, PicturesOfFramesThatAreLeftOutAreNotInThePage) {
  Report report = small_report();
  const auto picture = [](std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  report.thumbnails = {{0, picture("shown!")}, {50, picture("secret")}};
  const std::string html = to_html(report);
  EXPECT_EQ(count_of(html, "base64,c2hvd24h"), 2U);  // the frame's and the segment's
  EXPECT_THAT(html, Not(HasSubstr("c2VjcmV0")));
}

TEST(ReportHtml, NoTextBecomesAnElementOrAttribute) {
  const auto shape = [](const Report& report) {
    std::vector<std::string> names;
    for (const Tag& tag : tags_of(to_html(report))) {
      std::string name = tag.name;
      for (const auto& [attribute, value] : tag.attributes) name += " " + attribute;
      // A name in the timeline is only there where it fits.
      if (name != "svg class x width height aria-hidden" && name != "text x y") names.push_back(std::move(name));
    }
    return names;
  };
  Report plain = report_with("word");
  plain.artefacts.clear();
  const std::vector<std::string> expected = shape(plain);
  for (const std::string& attack : attacks()) {
    Report report = report_with(attack);
    const std::string html = to_html(report);
    ASSERT_TRUE(is_valid_utf8(html)) << attack;
    EXPECT_EQ(count_of(html, "<script"), 2U) << attack;
    report.artefacts.clear();
    EXPECT_EQ(shape(report), expected) << attack;
  }
}

TEST(ReportHtml, CharactersThatTurnTheTextAreGone) {
  const std::string html =
      to_html(report_with("a\xE2\x80\xAE"
                          "b\xE2\x81\xA6"
                          "c\x1B"
                          "d"));
  for (const char* bad : {"\xE2\x80\xAE", "\xE2\x81\xA6", "\x1B", "\\u202e"}) EXPECT_THAT(html, Not(HasSubstr(bad)));
  EXPECT_THAT(html, HasSubstr("abc d"));
}

TEST(ReportHtml, TemplateMarksInTextsStay) {
  const std::string body = body_of(to_html(report_with("{{css}} {{data}} $&")));
  EXPECT_THAT(body, HasSubstr("{{css}} {{data}} $&amp;"));
}

TEST(ReportHtml, ThePolicyAllowsOnlyWhatIsInThePage) {
  const std::string html = to_html({});
  EXPECT_THAT(html, HasSubstr("content=\"default-src 'none'; img-src data:; style-src 'sha256-"));
  EXPECT_THAT(html, Not(HasSubstr("unsafe-inline")));
  EXPECT_THAT(html, Not(HasSubstr("innerHTML")));
}

TEST(ReportHtml, ItsDataIsTheReportAsItIsShown) {
  const std::string html = to_html(report_with("</script><b>&"));
  const std::string_view mark = "id=\"data\">";
  const std::size_t from = html.find(mark) + mark.size();
  const std::string text = html.substr(from, html.find("</script>", from) - from);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos);
  const auto data = nlohmann::json::parse(text);
  EXPECT_EQ(data["report"]["segments"][0]["description"], "</script><b>&");
  EXPECT_EQ(data["artefacts"][0]["text"], "</script><b>&");
  EXPECT_EQ(data["report"]["schema"], 1);
}

TEST(ReportHtml, AnEmptyReportSaysWhatIsMissing) {
  const std::string html = to_html({});
  tags_of(html);
  for (const char* text :
       {"There are no segments yet", "There is no summary yet", "There are no frames yet", "The run is not finished"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
}

TEST(ReportHtml, TimesThatAreNoneDoNotBreakThePage) {
  Report report = small_report();
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), -1e300, 1e300}) {
    report.segments[0].start_s = bad;
    report.segments[1].end_s = bad;
    report.observations[0].timestamp_s = bad;
    report.recording.info.duration_s = bad;
    const std::string html = to_html(report);
    tags_of(html);
    EXPECT_THAT(body_of(html),
                Not(AnyOf(HasSubstr("=\"nan"), HasSubstr("=\"inf"), HasSubstr(" x=\"-"), HasSubstr("width=\"-"))));
  }
}

TEST(ReportHtml, EveryActivityOfThePipelineHasAColour) {
  for (const char* activity : {"coding", "debugging", "reviewing", "testing", "reading", "writing", "messaging",
                               "meeting", "designing", "planning", "querying", "analyzing", "terminal", "other"}) {
    EXPECT_EQ(report::activity_class(activity), "a-" + std::string(activity));
    EXPECT_THAT(to_html({}), HasSubstr(".a-" + std::string(activity) + " {"));
  }
  EXPECT_EQ(report::activity_class("\"><script>"), "a-other");
}

TEST(ReportHtml, TheSameReportGivesTheSamePage) { EXPECT_EQ(to_html(sample_report()), to_html(sample_report())); }

}  // namespace
}  // namespace escribano
