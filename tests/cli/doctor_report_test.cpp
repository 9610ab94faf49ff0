#include "cli/doctor_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/memory.h"
#include "cli/terminal.h"

namespace escribano::cli {
namespace {

using ::testing::ElementsAre;

TEST(Wrapped, BreaksAtSpacesAndKeepsLongWordsWhole) {
  EXPECT_THAT(wrapped("", 10), ElementsAre(""));
  EXPECT_THAT(wrapped("aaa bbb ccc", 7), ElementsAre("aaa bbb", "ccc"));
  EXPECT_THAT(wrapped("aaa bbb ccc", 6), ElementsAre("aaa", "bbb", "ccc"));
  EXPECT_THAT(wrapped("a /a/long/path b", 6), ElementsAre("a", "/a/long/path", "b"));
  EXPECT_THAT(wrapped("a  b ", 6), ElementsAre("a b"));
}

TEST(Wrapped, KeepsLineBreaksAndWhatALineBeginsWith) {
  EXPECT_THAT(wrapped("one:\n\n  two three", 8), ElementsAre("one:", "", "  two", "  three"));
}

TEST(Wrapped, CountsCharactersAndNotBytes) {
  EXPECT_THAT(wrapped("äöü äöü", 7), ElementsAre("äöü äöü"));
  EXPECT_THAT(wrapped("äöü äöü", 6), ElementsAre("äöü", "äöü"));
}

TEST(DoctorReport, TextIsInColumnsAndTheRemedyHasItsOwnLine) {
  EXPECT_EQ(check_text(check_failed("socket", "it is in the way of the bridge", "move it away"), 50),
            "failed   socket         it is in the way of the\n"
            "                        bridge\n"
            "                        -> move it away\n");
}

TEST(DoctorReport, ASummaryCountsWhatIsWrong) {
  const Check ok = check_ok("a", "");
  const Check warning = check_warning("b", "", "");
  const Check failed = check_failed("c", "", "");
  EXPECT_EQ(checks_summary({ok, check_skipped("d", "")}), "Everything works.");
  EXPECT_EQ(checks_summary({ok, warning}), "Everything works, with 1 warning.");
  EXPECT_EQ(checks_summary({failed, ok, warning, warning}), "1 check failed, 2 warnings.");
  EXPECT_EQ(checks_summary({failed, failed}), "2 checks failed.");
}

TEST(DoctorReport, JsonHasARemedyOnlyWhereThereIsOneAndIsAlwaysUtf8) {
  const auto json = nlohmann::json::parse(checks_json({check_ok("a", "fr\xff"), check_failed("b", "x", "y")}));
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_FALSE(json.at("ok").get<bool>());
  EXPECT_FALSE(json.at("checks").at(0).contains("mend"));
  EXPECT_EQ(json.at("checks").at(1),
            (nlohmann::json{{"name", "b"}, {"status", "failed"}, {"found", "x"}, {"mend", "y"}}));
  EXPECT_TRUE(nlohmann::json::parse(checks_json({check_warning("a", "", "")})).at("ok").get<bool>());
}

TEST(Memory, OfThisMachineIsKnown) {
  const auto memory = read_memory();
  ASSERT_TRUE(memory);
  EXPECT_GT(memory->total_bytes, 64U << 20);
  EXPECT_LE(memory->available_bytes.value_or(0), memory->total_bytes);
  EXPECT_EQ(human_bytes(26U << 20), "26 MiB");
  EXPECT_EQ(human_bytes(4'617'089'843), "4.3 GiB");
}

}  // namespace
}  // namespace escribano::cli
