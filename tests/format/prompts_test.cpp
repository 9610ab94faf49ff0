#include "format/prompts.h"

#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace escribano {
namespace {

using ::testing::HasSubstr;

TEST(PromptFilling, PutsEveryValueInItsPlaces) {
  EXPECT_EQ(*fill("{n} frames, 1 to {n}: {segments}{n}", {{"n", "4"}, {"segments", "a\nb"}}),
            "4 frames, 1 to 4: a\nb4");
  EXPECT_EQ(*fill("", {{"n", "4"}}), "");
  EXPECT_EQ(*fill("no placeholders", std::span<const Placeholder>()), "no placeholders");
}

TEST(PromptFilling, InsertsValuesAsTheyAre) {
  for (const char* value : {"$&", "$1 $$ $`", "\\1 \\0", "{n}", "{segments}", "{unknown}", "{", "}", "{}", "%s", ""}) {
    EXPECT_EQ(*fill("[{segments}]", {{"segments", value}, {"n", "4"}}), fmt::format("[{}]", value));
  }
}

TEST(PromptFilling, DoesNotAssemblePlaceholdersFromValues) {
  EXPECT_EQ(*fill("{{a}{b}}", {{"a", "{"}, {"b", "n"}}), "{{n}");
  EXPECT_EQ(*fill("{a}n}", {{"a", "{"}, {"n", "4"}}), "{n}");
}

TEST(PromptFilling, LeavesBracesThatArePartOfTheText) {
  for (const char* text :
       {"{", "}", "{}", "{ n }", "{1}", "{\"n\": 1}", "{n", "{n m}", "{n-m}", "{{}}", "a{", "{n\n}"}) {
    EXPECT_EQ(*fill(text, {{"n", "4"}}), text);
  }
  EXPECT_EQ(*fill("{{n}}", {{"n", "4"}}), "{4}");
}

TEST(PromptFilling, FailsRatherThanLetAPlaceholderReachTheModel) {
  for (const char* text : {"{n}", "Describe {n} frames", "{N}", "{unknown}", "{{n}}"}) {
    const Result<std::string> filled = fill(text, {{"segments", "x"}});
    ASSERT_FALSE(filled) << text;
    EXPECT_EQ(filled.error().code, Errc::invalid_argument);
  }
  EXPECT_THAT(fill("Describe {count} frames", {{"n", "4"}}).error().message, HasSubstr("{count}"));
}

TEST(PromptFilling, RefusesNamesThatAreAmbiguousOrNone) {
  EXPECT_EQ(fill("{n}", {{"n", "1"}, {"n", "2"}}).error().code, Errc::invalid_argument);
  for (const char* name : {"", "{n}", "1", "a b"}) {
    EXPECT_EQ(fill("x", {{name, "1"}}).error().code, Errc::invalid_argument) << name;
  }
}

TEST(BuiltinPrompts, AreTheFilesOfTheRepository) {
  const std::pair<PromptKind, const char*> kinds[] = {
      {PromptKind::single, "single"},   {PromptKind::batch, "batch"},         {PromptKind::summary, "summary"},
      {PromptKind::standup, "standup"}, {PromptKind::narrative, "narrative"}, {PromptKind::fold, "fold"}};
  for (const auto& [kind, name] : kinds) {
    std::ifstream file(std::string(ESCRIBANO_SOURCE_DIR "/assets/prompts/") + name + ".txt", std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(std::string(builtin_prompt(kind)) + "\n", text) << name;
  }
}

TEST(BuiltinPrompts, AreFilledByTheirPlaceholdersAlone) {
  EXPECT_TRUE(fill(builtin_prompt(PromptKind::single), std::span<const Placeholder>()));
  const Result<std::string> batch = fill(builtin_prompt(PromptKind::batch), {{"n", "3"}});
  ASSERT_TRUE(batch);
  EXPECT_THAT(*batch, HasSubstr("The 3 pictures above"));
  EXPECT_THAT(*batch, HasSubstr("Answer with exactly 3 lines"));
  const Result<std::string> summary = fill(builtin_prompt(PromptKind::summary), {{"segments", "0:00-4:10 $& {n}"}});
  ASSERT_TRUE(summary);
  EXPECT_TRUE(summary->ends_with("\n\n0:00-4:10 $& {n}"));
  for (const PromptKind kind : {PromptKind::standup, PromptKind::narrative}) {
    EXPECT_TRUE(fill(builtin_prompt(kind), {{"segments", "0:00-4:10"}})->ends_with("\n\n0:00-4:10"));
  }
  EXPECT_THAT(*fill(builtin_prompt(PromptKind::fold), {{"parts", "A part."}, {"form", "a note"}}), HasSubstr("a note"));
}

TEST(FrameLabels, GiveTheTimeWithOneDecimal) {
  EXPECT_EQ(frame_label(1, 0.0), "Frame 1 (timestamp: 0.0s):");
  EXPECT_EQ(frame_label(2, 12.5), "Frame 2 (timestamp: 12.5s):");
  EXPECT_EQ(frame_label(3, 31.0), "Frame 3 (timestamp: 31.0s):");
  EXPECT_EQ(frame_label(32, 10800.04), "Frame 32 (timestamp: 10800.0s):");
  EXPECT_EQ(frame_label(1, -0.0), "Frame 1 (timestamp: 0.0s):");
  EXPECT_EQ(frame_label(1, -0.01), "Frame 1 (timestamp: 0.0s):");
}

}  // namespace
}  // namespace escribano
