// What bench/ makes and counts in Python: a model with random weights that the importer takes, and the work of a shape.
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

std::filesystem::path imported(const std::filesystem::path& home, const std::string& name) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home)) {
    if (entry.path().filename() == name) return entry.path();
  }
  return {};
}

TEST(RandomModel, IsImportedAndDescribesAFrameAndItsWorkIsCounted) {
  const TempFolder folder;
  const std::string model = folder.path() / "tiny";
  const CommandResult made = run_command(
      {"/usr/bin/env", "python3", "-B", ESCRIBANO_SOURCE_DIR "/bench/random_model.py", "--shape", "tiny", model});
  ASSERT_EQ(made.exit_code, 0) << made.err;

  const std::filesystem::path home = folder.path() / "home";
  const CommandResult described =
      run_command({escribano_program(), "describe", "--json", "--in-process", "--model", model, "--max-tokens", "16",
                   ESCRIBANO_SOURCE_DIR "/assets/samples/frames/session-a-006.0s.jpg"},
                  {.environment = {{"ESCRIBANO_HOME", home.native()}}, .on_first_output = {}});
  const auto answer = nlohmann::json::parse(described.out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << described.out << described.err;
  EXPECT_FALSE(answer.contains("error")) << described.out;
  EXPECT_EQ(answer["stats"]["image_tokens"], 60);  // 320x192, by max_pixels of the shape
  EXPECT_GE(answer["stats"]["generation_tokens"], 16) << "such a model has no reason to end its turn";
  EXPECT_NE(answer["stats"]["finish_reason"], "loop") << described.out;

  const CommandResult counted =
      run_command({"/usr/bin/env", "python3", "-B", ESCRIBANO_SOURCE_DIR "/tests/bench/work_test.py",
                   imported(home, "model.gguf").native(), imported(home, "mmproj.gguf").native()});
  EXPECT_EQ(counted.exit_code, 0) << counted.err;
}

}  // namespace
}  // namespace escribano
