#include "protocol/json_document.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace escribano::protocol {
namespace {

Errc failure(std::string_view text) {
  const JsonDocument document(text);
  EXPECT_FALSE(document.status()) << text;
  return document.status() ? Errc::internal : document.status().error().code;
}

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

TEST(JsonDocument, AcceptsAndRefusesWhatAnotherParserDoes) {
  const std::vector<std::string> texts = {"null",
                                          " true ",
                                          "false",
                                          "0",
                                          "-0",
                                          "01",
                                          "1.",
                                          ".5",
                                          "1.5e+10",
                                          "1e",
                                          "1e+",
                                          "-",
                                          "+1",
                                          "--1",
                                          "1 2",
                                          "0x1",
                                          "\"\"",
                                          "\"a",
                                          "\"\\u12\"",
                                          "\"\\u12G4\"",
                                          "\"\\x\"",
                                          "\"\\\"",
                                          "\"a\tb\"",
                                          "\"a\\tb\"",
                                          "\"\\/\\b\\f\\n\\r\\\\\"",
                                          "\"\xC3\xA9\"",
                                          "\"\xC3\"",
                                          "\"\xED\xA0\x80\"",
                                          "\xEF\xBB\xBF{}x",
                                          "[]",
                                          "[ ]",
                                          "[1,]",
                                          "[,1]",
                                          "[1 2]",
                                          "[1,2]",
                                          "[1",
                                          "]",
                                          "[}",
                                          "{]",
                                          "{}",
                                          "{ }",
                                          "{\"a\":1}",
                                          "{\"a\"}",
                                          "{\"a\":}",
                                          "{\"a\":1,}",
                                          "{,}",
                                          "{a:1}",
                                          "{1:1}",
                                          "{\"a\":1 \"b\":2}",
                                          "{\"a\":{\"b\":[{}]}}",
                                          "{\"a\":[}]}",
                                          "tru",
                                          "nul",
                                          "truee",
                                          "NaN",
                                          "Infinity",
                                          "'a'",
                                          "//",
                                          "[1]//",
                                          "{}{}",
                                          "",
                                          " ",
                                          "\0",
                                          "\"\\u0000\"",
                                          "[\"a\",{\"b\":-1.5E-3},null,[[]]]",
                                          "\"\x7F\"",
                                          "\"a\nb\""};
  for (const std::string& text : texts) {
    EXPECT_EQ(JsonDocument(text).status().has_value(), nlohmann::json::accept(text)) << text;
  }
}

TEST(JsonDocument, KeepsNumbersAsTheyWereWritten) {
  for (const std::string text :
       {"0", "-0", "7", "123456789012345678901234567890", "1e400", "-1E+400", "1.50", "1e-999"}) {
    const JsonDocument document(text);
    ASSERT_TRUE(document.status()) << text;
    EXPECT_EQ(document.root()->token(), text);
  }
}

TEST(JsonDocument, ReadsNumbers) {
  const auto number = [](std::string_view text) { return JsonDocument(text).root()->number(); };
  EXPECT_EQ(number("42.5"), 42.5);
  EXPECT_EQ(number("-1e3"), -1000);
  EXPECT_EQ(number("1e400"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("-1e400"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("1e-999"), 0);
  EXPECT_EQ(number("18446744073709551616"), 18446744073709551616.0);
  const auto whole = [](std::string_view text) { return JsonDocument(text).root()->whole(); };
  EXPECT_EQ(whole("-7"), -7);
  EXPECT_EQ(whole("4.0"), 4);
  EXPECT_EQ(whole("4e0"), 4);
  EXPECT_EQ(whole("400e-2"), 4);
  EXPECT_EQ(whole("9223372036854775807"), 9223372036854775807);
  EXPECT_EQ(whole("4.5"), std::nullopt);
  EXPECT_EQ(whole("9223372036854775808"), std::nullopt);
  EXPECT_EQ(whole("1e300"), std::nullopt);
  EXPECT_EQ(whole("1e400"), std::nullopt);
}

TEST(JsonDocument, DecodesStrings) {
  const auto string = [](std::string_view text) { return JsonDocument(text).root()->string(); };
  EXPECT_EQ(string(R"("plain")"), "plain");
  EXPECT_EQ(string(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00")"),
            "\"\\/\b\f\n\r\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(string(R"("\u0000")"), std::string(1, '\0'));
  const std::string replacement = "\xEF\xBF\xBD";
  EXPECT_EQ(string(R"("\ud83d")"), replacement);
  EXPECT_EQ(string(R"("\ude00x")"), replacement + "x");
  EXPECT_EQ(string(R"("\ud83d\ud83d\ude00")"), replacement + "\xF0\x9F\x98\x80");
  EXPECT_EQ(string(R"("\ud83d\n")"), replacement + "\n");
}

TEST(JsonDocument, FindsTheLastOfRepeatedKeysAlsoWhereItIsEscaped) {
  const JsonDocument document(R"({"a":{"id":0},"id":1,"\u0069d":[2,{"id":9}],"b":3})");
  const JsonValue root = *document.root();
  EXPECT_EQ(root.find("id")->type(), JsonType::array);
  EXPECT_EQ(root.find("b")->token(), "3");
  EXPECT_EQ(root.find("c"), std::nullopt);
  std::vector<JsonType> types;
  root.find("id")->each([&](JsonValue value) {
    types.push_back(value.type());
    return true;
  });
  EXPECT_THAT(types, testing::ElementsAre(JsonType::number, JsonType::object));
}

TEST(JsonDocument, HasALimitOnDepth) {
  for (const auto& [open, close] : {std::pair("[", "]"), {"{\"a\":", "}"}}) {
    EXPECT_TRUE(JsonDocument(repeat(open, 64) + "1" + repeat(close, 64)).status());
    EXPECT_EQ(failure(repeat(open, 65) + "1" + repeat(close, 65)), Errc::too_large);
    EXPECT_EQ(failure(repeat(open, 1'000'000)), Errc::too_large);
  }
}

TEST(JsonDocument, HasLimitsOnValuesAndBytes) {
  EXPECT_EQ(failure("[" + repeat("0,", 2'000'000) + "0]"), Errc::too_large);
  EXPECT_EQ(failure("\"" + std::string(8U << 20, 'x') + "\""), Errc::too_large);
  EXPECT_TRUE(JsonDocument("\"" + std::string((8U << 20) - 2, 'x') + "\"").status());
}

TEST(JsonDocument, WhatIsTooLargeCanBeReadUpToThere) {
  const std::string deep = R"({"id":7,"x":)" + repeat("[", 100);
  const JsonDocument document(deep);
  EXPECT_FALSE(document.status());
  EXPECT_EQ(document.root()->find("id")->token(), "7");
  const std::string many = R"({"id":7,"x":[)" + repeat("0,", 2'000'000);
  EXPECT_EQ(JsonDocument(many).root()->find("id")->token(), "7");
  const std::string key = R"({"id":7)" + repeat(R"(,"":0)", 1'000'000) + "}";
  EXPECT_EQ(JsonDocument(key).root()->find("id")->token(), "7");
  EXPECT_EQ(JsonDocument(R"({"id":7,)").root().has_value(), false);
}

TEST(JsonDocument, TellsWhereItBreaksOff) {
  const JsonDocument document(R"({"id":1,})");
  EXPECT_EQ(document.status().error().message, "the line is not valid JSON: expected a key at byte 9");
  EXPECT_EQ(failure("\xFF"), Errc::protocol_error);
}

}  // namespace
}  // namespace escribano::protocol
