#include "format/description.h"

#include <random>

#include <gtest/gtest.h>

#include "format/golden_lines.h"
#include "format/line_grammar.h"
#include "format/parser.h"

namespace escribano {
namespace {

bool is_line(std::string_view text) {
  LineGrammar grammar = LineGrammar::single();
  return grammar.advance(text) && grammar.can_end();
}

TEST(DescriptionLine, IsTheFormThatModelsAreAskedFor) {
  EXPECT_EQ(to_line({"Edits main.cpp.", "coding", {"VS Code", "Chrome (Gmail, Calendar)"}, {}}),
            "description: Edits main.cpp. | activity: coding | apps: [VS Code, Chrome (Gmail, Calendar)] | topics: []");
}

TEST(DescriptionLine, ReplacesWhatWouldBreakTheForm) {
  EXPECT_EQ(
      to_line({"cat a | grep b\nand  more ", "(coding).", {"a, b", "x [y]", "\"q\"", "...", "(a,b)"}, {"c|d", "*e*"}}),
      "description: cat a / grep b and more | activity: coding | apps: [a; b, x (y), q, (a, b)] | topics: [c/d, e*]");
  EXPECT_EQ(to_line({"<think> description: \xFF\x01", "x", {"a) (b, c"}, {}}),
            "description: <think description \xEF\xBF\xBD | activity: x | apps: [a) (b; c] | topics: []");
}

TEST(DescriptionLine, OfNoTextIsNoAnswer) {
  EXPECT_EQ(to_line({}), "description:  | activity:  | apps: [] | topics: []");
  EXPECT_FALSE(parse_description(to_line({})));
  EXPECT_FALSE(parse_description(to_line({"...", "x", {}, {}})));
}

TEST(DescriptionLine, IsLegalWhateverTheFieldsHold) {
  std::mt19937 random(4);
  constexpr std::string_view kBytes =
      "ab  ,,()[]|\"'`*_<>/:\n\t\x01\xC2\x80\xE2\x80\x9C\xE2\x82\xAC\xFFthinkdescription";
  const auto text = [&](std::string out = {}) {
    for (std::size_t length = random() % 24; length > 0; --length) out += kBytes[random() % kBytes.size()];
    return out;
  };
  for (int round = 0; round < 20000; ++round) {
    const Description fields{text("x"), text("y"), {text(), text()}, {text(), text(), text()}};
    const std::string line = to_line(fields);
    ASSERT_TRUE(is_line(line)) << line;
    const std::optional<Description> parsed = parse_description(line);
    ASSERT_TRUE(parsed) << line;
    ASSERT_EQ(to_line(*parsed), line);
  }
}

}  // namespace
}  // namespace escribano
