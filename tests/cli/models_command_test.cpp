#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

const fs::path kFrames = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "samples" / "frames";

class ModelsCommand : public testing::Test {
 protected:
  CommandResult models(std::vector<std::string> arguments, CommandOptions options = {}) {
    options.environment["ESCRIBANO_HOME"] = (folder.path() / "home").native();
    options.environment.emplace("HF_HUB_CACHE", (folder.path() / "hub").native());
    arguments.insert(arguments.begin(), {escribano_program(), "models"});
    return run_command(arguments, options);
  }
  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((folder.path() / path).parent_path());
    std::ofstream(folder.path() / path) << text;
  }
  TempFolder folder;
};

TEST_F(ModelsCommand, SaysWhichCommandsThereAre) {
  const CommandResult none = models({});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("escribano: which command? list, "));
  EXPECT_THAT(none.err, HasSubstr("Try 'escribano models --help'."));
  const CommandResult bogus = models({"bogus"});
  EXPECT_EQ(bogus.exit_code, 2);
  EXPECT_THAT(bogus.err, HasSubstr("there is no command 'bogus'"));
  EXPECT_EQ(models({"--help"}).exit_code, 0);
}

TEST_F(ModelsCommand, ListsWhatIsThereAndWhetherItFits) {
  fs::create_directories(folder.path() / "home/models/org/empty");
  CommandOptions options;
  options.environment["ESCRIBANO_VLM_MODEL"] = "demo";
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "400";
  const CommandResult plenty = models({"list"}, options);
  EXPECT_EQ(plenty.exit_code, 0) << plenty.err;
  EXPECT_THAT(plenty.out, HasSubstr("* demo"));
  EXPECT_THAT(plenty.out, HasSubstr("yes\n"));
  EXPECT_THAT(plenty.out, HasSubstr("unusable\n"));
  EXPECT_THAT(plenty.out, HasSubstr("org/empty: "));
  EXPECT_FALSE(fs::exists(folder.path() / "home/cache")) << "nothing is imported";
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = plenty.out.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = plenty.out.substr(begin, end - begin);
    if (line.find(folder.path().native()) == std::string::npos) {
      EXPECT_LE(line.size(), 80) << line;
    }
  }
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "60";
  EXPECT_THAT(models({"list"}, options).out, HasSubstr("no\n"));
}

TEST_F(ModelsCommand, ImportsAFolderAsItIsAndQuantised) {
  const std::string demo = (fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model").native();
  const auto first_line = [](const CommandResult& result) { return result.out.substr(0, result.out.find('\n')); };
  const CommandResult whole = models({"import", demo});
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  EXPECT_EQ(models({"path", demo}).out, whole.out);
  const CommandResult small = models({"import", "--quantize", "q8_0", demo});
  ASSERT_EQ(small.exit_code, 0) << small.err;
  EXPECT_LT(fs::file_size(first_line(small)), fs::file_size(first_line(whole)) * 6 / 10);
  EXPECT_EQ(models({"import", demo}).out, whole.out) << "both are kept";

  EXPECT_EQ(models({"import", "--quantize", "q5", demo}).exit_code, 2);
  const CommandResult missing = models({"import", (folder.path() / "nowhere").native()});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("there is no such folder"));
}

TEST_F(ModelsCommand, KeepsNoImportThatCannotDescribeAPicture) {
  CommandOptions options;
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "60";
  const std::string demo = (fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model").native();
  const CommandResult result = models({"import", demo}, options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("60"));
  for (const auto& entry : fs::recursive_directory_iterator(folder.path() / "home" / "cache")) {
    EXPECT_NE(entry.path().extension(), ".gguf") << entry.path();
  }
}

TEST_F(ModelsCommand, ListsForPrograms) {
  fs::create_directories(folder.path() / "home/models/org/empty");
  CommandOptions options;
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "272";
  options.environment["ESCRIBANO_VLM_BATCH_SIZE"] = "16";
  const CommandResult result = models({"list", "--json"}, options);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("usable_bytes"), 272U << 20);
  ASSERT_EQ(json.at("models").size(), 2);
  const Json& demo = json.at("models").at(0);
  EXPECT_EQ(demo.at("name"), "demo");
  EXPECT_EQ(demo.at("kind"), "HF bf16");
  EXPECT_TRUE(demo.at("vision").get<bool>());
  EXPECT_GT(demo.at("memory_bytes").get<std::uint64_t>(), 272U << 20);
  EXPECT_TRUE(demo.at("fits").get<bool>());
  EXPECT_GE(demo.at("frames_at_once").get<int>(), 1);
  EXPECT_LT(demo.at("frames_at_once").get<int>(), 16);
  EXPECT_EQ(json.at("models").at(1).at("error").at("code"), "not_found");
}

TEST_F(ModelsCommand, ChecksTheDemoModelAgainstTheBundledFrames) {
  const CommandResult result = models({"check", "demo", "--min-accuracy", "100", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json check = Json::parse(result.out).at("check");
  EXPECT_EQ(check.at("frames"), 8);
  EXPECT_EQ(check.at("parsed"), 8);
  EXPECT_EQ(check.at("right"), 8);
  EXPECT_EQ(check.at("accuracy"), 100.0);
  EXPECT_EQ(check.at("cut_or_loop"), 0);
  EXPECT_GT(check.at("description_f1").get<double>(), 0.9);
  EXPECT_GT(check.at("seconds_per_frame").get<double>(), 0);
}

TEST_F(ModelsCommand, ComparesFramesOfOnesOwnWithTheirTruth) {
  const fs::path frames = folder.path() / "frames";
  fs::create_directories(frames);
  for (const char* name : {"session-a-006.0s.jpg", "session-a-018.0s.jpg", "session-a-033.0s.jpg"}) {
    fs::copy_file(kFrames / name, frames / name);
  }
  write("frames/truth.json",
        R"({"frames":{
          "session-a-006.0s.jpg":{"description":"x","activity":"querying","apps":["TablePlus","Figma"]},
          "session-a-018.0s.jpg":{"description":"x","activity":"sleeping","apps":["Notion"]}}})");
  const CommandResult result =
      models({"check", "demo", frames.native(), "--min-accuracy", "60", "--reference", "demo"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("As demo\n  texts                2 of 2 (100.0 %)"));
  EXPECT_THAT(result.out, HasSubstr("activity and apps    1 of 2 (50.0 %)"));
  EXPECT_THAT(result.err, HasSubstr("right in 50.0 % of the frames; at least 60 % are wanted"));
}

TEST_F(ModelsCommand, SaysWhatIsWrongWithTheFrames) {
  const fs::path frames = folder.path() / "frames";
  EXPECT_THAT(models({"check", "demo", frames.native()}).err, HasSubstr("cannot be listed"));
  fs::create_directories(frames);
  EXPECT_THAT(models({"check", "demo", frames.native()}).err, HasSubstr("holds no picture"));
  fs::copy_file(kFrames / "session-a-006.0s.jpg", frames / "a.jpg");
  EXPECT_THAT(models({"check", "demo", frames.native()}).err, HasSubstr("has no truth.json"));
  write("frames/truth.json", "[]");
  EXPECT_THAT(models({"check", "demo", frames.native()}).err,
              HasSubstr("truth.json is no JSON object with \"frames\""));
  write("frames/truth.json", R"({"frames":{"a.jpg":{"description":"x","activity":"y","apps":"Zoom"}}})");
  const CommandResult result = models({"check", "demo", frames.native()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("a.jpg: apps must be a list of texts"));
}

}  // namespace
}  // namespace escribano
