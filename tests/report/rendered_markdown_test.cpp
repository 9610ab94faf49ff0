#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include "report/html_parts.h"
#include "report/page_check.h"
#include "report/sample_report.h"

namespace escribano::report {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RenderedMarkdown, HeadingsBeginUnderThoseOfThePage) {
  EXPECT_EQ(rendered_markdown("# One\n## Two\n###### Six\n#None"), "<h3>One</h3><h4>Two</h4><h6>Six</h6><p>#None</p>");
}

TEST(RenderedMarkdown, ParagraphsJoinTheirLines) {
  EXPECT_EQ(rendered_markdown("one\ntwo\n\nthree\n"), "<p>one two</p><p>three</p>");
}

TEST(RenderedMarkdown, ListsNest) {
  EXPECT_EQ(rendered_markdown("- a\n  - b\n  - c\n- d\n\n1. e\n2) f\n"),
            "<ul><li>a<ul><li>b</li><li>c</li></ul></li><li>d</li></ul><ol><li>e</li><li>f</li></ol>");
  EXPECT_EQ(rendered_markdown("- a\n  goes on\n\nText"), "<ul><li>a goes on</li></ul><p>Text</p>");
}

TEST(RenderedMarkdown, BoldItalicAndCode) {
  EXPECT_EQ(rendered_markdown("**b** *i* __b__ _i_ `c*` **a *b* c**"),
            "<p><strong>b</strong> <em>i</em> <strong>b</strong> <em>i</em> <code>c*</code> <strong>a <em>b</em> "
            "c</strong></p>");
  EXPECT_EQ(rendered_markdown("snake_case_name 2 * 3 * 4 \\*x\\* **open"),
            "<p>snake_case_name 2 * 3 * 4 *x* **open</p>");
}

TEST(RenderedMarkdown, TablesQuotesRulesAndCodeBlocks) {
  EXPECT_EQ(
      rendered_markdown("| a | b |\n|---|--:|\n| 1 | 2 | 3 |\n\n> quoted\n> on\n\n---\n```\n<x> & **y**\n```\n"),
      "<div class=\"wide\"><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr>"
      "</tbody></table></div><blockquote><p>quoted on</p></blockquote><hr><pre><code>&lt;x&gt; &amp; **y**\n"
      "</code></pre>");
}

TEST(RenderedMarkdown, LinksPicturesAndHtmlAreText) {
  EXPECT_EQ(rendered_markdown("[a](javascript:alert(1)) ![b](http://x) <b onclick=\"x\">"),
            "<p>[a](javascript:alert(1)) ![b](http://x) &lt;b onclick=&quot;x&quot;&gt;</p>");
}

TEST(RenderedMarkdown, AnyTextGivesElementsThatAreClosedInOrder) {
  std::vector<std::string> texts = attacks();
  // Marks in every order, the same ones on every machine.
  const char* const pieces[] = {"*", "**",      "_", "__", "`",  "\n", "- ",    "  - ", "1. ",  "> ",
                                "|", "|---|\n", "a", " ",  "# ", "\\", "```\n", "<b>",  "---\n"};
  std::uint32_t state = 1;
  for (int text = 0; text < 3000; ++text) {
    std::string mixed;
    for (int i = 0; i < 40; ++i) {
      state = state * 1'664'525U + 1'013'904'223U;
      mixed += pieces[(state >> 16) % std::size(pieces)];
    }
    texts.push_back(std::move(mixed));
  }
  for (const std::string& text : texts) {
    std::vector<Tag> tags;
    EXPECT_EQ(problem_in(rendered_markdown(text), tags), "") << text;
    for (const Tag& tag : tags) {
      EXPECT_THAT(tag.name,
                  testing::AnyOf("p", "ul", "ol", "li", "strong", "em", "code", "pre", "table", "thead", "tbody", "tr",
                                 "th", "td", "div", "blockquote", "hr", "h3", "h4", "h5", "h6"));
      EXPECT_TRUE(tag.attributes.empty() || (tag.name == "div" && tag.attributes.size() == 1)) << text;
    }
  }
}

TEST(RenderedMarkdown, TimeGrowsWithTheTextOnly) {
  for (const char* piece : {"*a ", "**a *b ", "`", "_a", "- ", "  - a\n", "| ", "> ", "\n"}) {
    std::string text;
    while (text.size() < 1'000'000) text += piece;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THAT(rendered_markdown(text), Not(HasSubstr("<script")));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << piece;
  }
}

}  // namespace
}  // namespace escribano::report
