// What 'models pull' takes from the environment, and the line that shows how far it is.
#include "cli/models_pull.h"

#include <fstream>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Stage = hub::PullProgress::Stage;

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(PullEnvironment, IsThatOfTheHuggingFaceTools) {
  const auto nothing = hub_options(environment_of({})).value();
  EXPECT_EQ(nothing.endpoint, "https://huggingface.co");
  EXPECT_EQ(nothing.token, "");
  const auto all = hub_options(environment_of({{"HF_ENDPOINT", "https://mirror.example"},
                                               {"HF_TOKEN", " hf_x\n"},
                                               {"SSL_CERT_FILE", "/b.pem"},
                                               {"CURL_CA_BUNDLE", "/a.pem"}}))
                       .value();
  EXPECT_EQ(all.endpoint, "https://mirror.example");
  EXPECT_EQ(all.token, "hf_x");
  EXPECT_EQ(all.ca_file, "/a.pem");
  EXPECT_EQ(hub_options(environment_of({{"HF_TOKEN", "hf_x\r\nEvil: 1"}})).error().code, Errc::invalid_argument);
}

TEST(PullEnvironment, ATokenMayLieInAFile) {
  const TempFolder folder;
  std::ofstream(folder.path() / "token") << "hf_file\n";
  const std::string home = folder.path();
  EXPECT_EQ(hub_options(environment_of({{"HF_HOME", home}})).value().token, "hf_file");
  EXPECT_EQ(hub_options(environment_of({{"HF_TOKEN_PATH", home + "/token"}, {"HF_HOME", "/nowhere"}})).value().token,
            "hf_file");
  EXPECT_EQ(hub_options(environment_of({{"HF_TOKEN", "hf_x"}, {"HF_HOME", home}})).value().token, "hf_x");
}

TEST(PullEnvironment, SaysWhetherToAskAnyone) {
  for (const char* yes : {"1", "true", "YES", "On"})
    EXPECT_TRUE(is_offline(environment_of({{"HF_HUB_OFFLINE", yes}}))) << yes;
  for (const char* no : {"", "0", "no"}) EXPECT_FALSE(is_offline(environment_of({{"HF_HUB_OFFLINE", no}}))) << no;
}

TEST(PullLine, FitsATerminalAndTellsSpeedAndTimeLeft) {
  const hub::PullProgress progress = {.stage = Stage::downloading,
                                      .done_bytes = 2'100'000'000,
                                      .total_bytes = 4'260'000'000,
                                      .fresh_bytes = 100'000'000};
  const std::string line = pull_line(progress, 10, 80);
  EXPECT_LT(line.size(), 80U);
  EXPECT_THAT(line, AllOf(HasSubstr("pulling [###"), HasSubstr("2.10 GB of 4.26 GB"), HasSubstr("10.0 MB/s"),
                          HasSubstr("3 min 36 s left")));
  EXPECT_EQ(pull_line({.stage = Stage::checking, .done_bytes = 5, .total_bytes = 10}, 1, 0),
            "checking 5 bytes of 10 bytes");
  for (const int columns : {1, 20, 40, 200})
    EXPECT_LT(pull_line(progress, 10, columns).size(), static_cast<std::size_t>(columns) + 1);
}

}  // namespace
}  // namespace escribano::cli
