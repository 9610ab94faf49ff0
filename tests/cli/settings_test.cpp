#include "cli/settings.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/terminal.h"
#include "support/temp_folder.h"

namespace escribano::cli {
namespace {

using ::testing::HasSubstr;

Environment environment_of(std::map<std::string, std::string, std::less<>> values) {
  return [values = std::move(values)](std::string_view name) -> std::optional<std::string> {
    const auto found = values.find(name);
    if (found == values.end()) return std::nullopt;
    return found->second;
  };
}

TEST(Settings, DefaultsAreThoseOfTheDesign) {
  const Settings settings = Settings::read(environment_of({{"HOME", "/h"}})).value();
  EXPECT_EQ(settings.home, "/h/.escribano");
  EXPECT_EQ(settings.vlm_model.value, "mlx-community/Qwen3-VL-2B-Instruct-bf16");
  EXPECT_EQ(settings.vlm_batch_size.value, 4);
  EXPECT_EQ(settings.vlm_max_tokens.value, 2000);
  EXPECT_EQ(settings.reuse.value, ReuseKind::all);
  EXPECT_EQ(settings.patches.value, PatchKind::all);
  EXPECT_EQ(settings.embedding_cache_mb.value, 1024);
  EXPECT_FALSE(settings.verbose.value);
  EXPECT_TRUE(settings.drafts.value);
  EXPECT_EQ(settings.products.value, engine::Precision::exact);
  EXPECT_TRUE(settings.vlm_model.is_default());
}

TEST(Settings, TheEnvironmentWinsOverTheFileAndBothAreNamedAsSource) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "config.json", R"({"vlm_batch_size": 8, "vlm_model": "demo"})"));
  const Settings settings =
      Settings::read(environment_of({{"ESCRIBANO_HOME", folder.path()}, {"ESCRIBANO_VLM_BATCH_SIZE", "16"}})).value();
  EXPECT_EQ(settings.vlm_batch_size.value, 16);
  EXPECT_EQ(settings.vlm_batch_size.source, "ESCRIBANO_VLM_BATCH_SIZE");
  EXPECT_EQ(settings.vlm_model.value, "demo");
  EXPECT_THAT(settings.vlm_model.source, HasSubstr("config.json"));
}

TEST(Settings, UnusableValuesAreErrorsThatNameTheVariable) {
  for (const char* value : {"0", "-1", "x", "", "4x", "99999999999"}) {
    const auto settings = Settings::read(environment_of({{"HOME", "/h"}, {"ESCRIBANO_VLM_BATCH_SIZE", value}}));
    ASSERT_FALSE(settings) << value;
    EXPECT_EQ(settings.error().code, Errc::invalid_argument);
    EXPECT_THAT(settings.error().message, HasSubstr("ESCRIBANO_VLM_BATCH_SIZE")) << value;
  }
  EXPECT_THAT(Settings::read(environment_of({{"HOME", "/h"}, {"ESCRIBANO_VERBOSE", "perhaps"}})).error().message,
              HasSubstr("ESCRIBANO_VERBOSE"));
  EXPECT_THAT(Settings::read(environment_of({{"HOME", "/h"}, {"ESCRIBANO_PRODUCTS", "int4"}})).error().message,
              HasSubstr("ESCRIBANO_PRODUCTS is 'int4'; it must be exact, bf16 or int8"));
  EXPECT_FALSE(Settings::read(environment_of({})));
}

TEST(Settings, ABrokenConfigFileIsNamedWithItsKey) {
  const TempFolder folder;
  for (const char* content : {"{", "[]", R"({"vlm_batch_size": "4"})", R"({"vlm_max_tokens": 0})",
                              R"({"vlm_max_tokens": 1e99})", R"({"vlm_model": 3})", R"({"verbose": "yes"})"}) {
    ASSERT_TRUE(write_file_atomically(folder.path() / "config.json", content));
    const auto settings = Settings::read(environment_of({{"ESCRIBANO_HOME", folder.path()}}));
    ASSERT_FALSE(settings) << content;
    EXPECT_THAT(settings.error().message, HasSubstr("config.json")) << content;
  }
}

TEST(Settings, AKeyOfTheConfigFileThatIsNoSettingIsAnError) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "config.json", R"({"verbose": true, "vlm_modle": "demo"})"));
  const auto settings = Settings::read(environment_of({{"ESCRIBANO_HOME", folder.path()}}));
  ASSERT_FALSE(settings);
  EXPECT_THAT(settings.error().message, HasSubstr("'vlm_modle' in"));
  EXPECT_THAT(settings.error().message, HasSubstr("is no setting; the one most like it is vlm_model"));
}

TEST(ProgressLine, FitsTheTerminalAndSaysHowLongItTakes) {
  const std::string line = progress_line(3, 12, 6, 80);
  EXPECT_LT(line.size(), 80u);
  EXPECT_THAT(line, HasSubstr("3/12"));
  EXPECT_THAT(line, HasSubstr("2.0 s/frame"));
  EXPECT_THAT(line, HasSubstr("18 s left"));
  EXPECT_LT(progress_line(3, 12, 6, 20).size(), 20u);
  EXPECT_THAT(progress_line(0, 12, 0, 80), HasSubstr("0/12"));
  EXPECT_THAT(progress_line(100, 200, 10, 80), HasSubstr("10.0 frames/s"));
}

TEST(HumanDuration, UsesTheTwoLargestUnits) {
  EXPECT_EQ(human_duration(7.4), "7 s");
  EXPECT_EQ(human_duration(200), "3 min 20 s");
  EXPECT_EQ(human_duration(7500), "2 h 5 min");
}

}  // namespace
}  // namespace escribano::cli
