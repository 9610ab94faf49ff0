// `escribano describe` as a person or a script runs it: the real program, the demo model, real and broken files.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/bridge_program.h"
#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::filesystem::path kSource = ESCRIBANO_SOURCE_DIR;
const std::filesystem::path kFrames = kSource / "assets" / "samples" / "frames";

// Bytes of a PNG up to and with a header that promises 60,000 x 60,000 pixels, with a correct checksum.
std::string huge_png() {
  return std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0", 29) +
         std::string("\x83\x2b\xc2\x07", 4);
}

class DescribeCommand : public ::testing::Test {
 protected:
  CommandResult describe(std::vector<std::string> arguments, CommandOptions options = {}) {
    arguments.insert(arguments.begin(), {escribano_program(), "describe"});
    // One thread: tests run beside each other, and threads of a step that wait for each other spin.
    arguments.insert(arguments.end(), {"--threads", "1"});
    // The model that the other tests imported is used again.
    if (!options.environment.contains("ESCRIBANO_HOME")) {
      options.environment["ESCRIBANO_HOME"] = ESCRIBANO_BINARY_DIR "/test-home";
      options.environment["ESCRIBANO_EMBEDDING_CACHE_MB"] = "0";
    }
    // A bridge of this test's own.
    if (!options.environment.contains("ESCRIBANO_MLX_SOCKET_PATH")) {
      options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = folder.path() / "b.sock";
    }
    return run_command(arguments, options);
  }
  std::string write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder.path() / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.native();
  }
  static std::vector<Json> lines(const std::string& text) {
    std::vector<Json> parsed;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) parsed.push_back(Json::parse(line));
    return parsed;
  }
  static std::vector<std::string> frames() {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(kFrames)) paths.push_back(entry.path().native());
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  TempFolder folder;
};

TEST_F(DescribeCommand, PrintsOneObjectALineInTheOrderOfTheImages) {
  std::vector<std::string> arguments = frames();
  const std::size_t count = arguments.size();
  arguments.insert(arguments.end(), {"--model", "demo", "--timestamps", "6,18,33,65.5,79,122,163,174"});
  const CommandResult result = describe(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::vector<Json> objects = lines(result.out);
  ASSERT_EQ(objects.size(), count);
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_EQ(objects[i].at("index"), i);
    EXPECT_EQ(objects[i].at("imagePath"), arguments[i]);
    EXPECT_FALSE(objects[i].at("description").get<std::string>().empty());
    EXPECT_FALSE(objects[i].contains("error"));
    EXPECT_FALSE(objects[i].contains("raw_response"));
    EXPECT_EQ(objects[i].at("stats").at("finish_reason"), "stop");
    EXPECT_EQ(objects[i].at("stats").at("image_width_px"), 672);
  }
  EXPECT_EQ(objects[3].at("timestamp"), 65.5);
  EXPECT_EQ(objects[0].at("apps"), Json({"TablePlus", "Figma"}));
  EXPECT_EQ(result.out.find('\r'), std::string::npos);
  EXPECT_THAT(result.err, HasSubstr("8 frames in "));
  EXPECT_THAT(result.err, Not(HasSubstr("\033"))) << "no progress bar where standard error is no terminal";
}

TEST_F(DescribeCommand, EmbeddingsOfOnePrecisionAreNotTakenForThoseOfAnother) {
  CommandOptions options;
  options.environment["ESCRIBANO_HOME"] = folder.path();
  const auto reused = [&](const std::string& products) {
    options.environment["ESCRIBANO_PRODUCTS"] = products;
    const CommandResult result = describe({frames().front(), "--model", "demo", "--in-process", "--json"}, options);
    if (result.err.find("(ESCRIBANO_PRODUCTS) are not possible: this ") != std::string::npos) return std::string("?");
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::vector<Json> objects = lines(result.out);
    return objects.empty() ? std::string() : objects.front().at("stats").value("reused", "");
  };
  EXPECT_NE(reused("exact"), "cache");
  for (const char* products : {"bf16", "int8"}) {
    const std::string at_first = reused(products);
    if (at_first == "?") continue;  // this processor cannot
    EXPECT_NE(at_first, "cache") << products;
    EXPECT_EQ(reused(products), "cache") << products;
  }
  EXPECT_EQ(reused("exact"), "cache");

  options.environment["ESCRIBANO_KERNELS"] = "false";
  options.environment["ESCRIBANO_PRODUCTS"] = "int8";
  const CommandResult refused = describe({frames().front(), "--model", "demo", "--in-process"}, options);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("products in int8 (ESCRIBANO_PRODUCTS) are not possible: "));
  EXPECT_THAT(refused.err, HasSubstr("ESCRIBANO_KERNELS"));
}

TEST_F(DescribeCommand, TakesFewerFramesAtOnceWhereTheMemoryIsLittle) {
  std::vector<std::string> arguments = frames();
  arguments.resize(4);
  arguments.insert(arguments.end(), {"--model", "demo", "--batch-size", "4", "--in-process", "--json"});
  const std::vector<Json> plenty = lines(describe(arguments).out);
  CommandOptions options;
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "135";
  const CommandResult result = describe(arguments, options);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr(" at once in place of 4, which demo would need "));
  EXPECT_THAT(result.err, HasSubstr("135 MiB can be had"));
  const std::vector<Json> little = lines(result.out);
  ASSERT_EQ(little.size(), plenty.size());
  for (std::size_t i = 0; i < plenty.size(); ++i) {
    EXPECT_EQ(little[i].at("description"), plenty[i].at("description"));
    EXPECT_EQ(little[i].at("topics"), plenty[i].at("topics"));
  }
}

// The context is made for prose. This has a digit, which is a token, for every third byte.
TEST_F(DescribeCommand, AnInstructionOfMoreTokensThanItsLengthSuggestsIsGivenRoom) {
  std::string text(700, '7');
  while (text.size() < 2000) text += " Read the page.";
  const CommandResult result = describe({frames()[0], frames()[1], "--model", "demo", "--in-process", "--json",
                                         "--max-tokens", "20", "--prompt-file", write("prompt.txt", text)});
  EXPECT_NE(result.exit_code, 1) << result.err;
  const std::vector<Json> results = lines(result.out);
  ASSERT_EQ(results.size(), 2u);
  for (const Json& frame : results) {
    EXPECT_FALSE(frame.contains("error")) << frame.dump();
    EXPECT_GT(frame.at("stats").at("prompt_tokens").get<int>(), 1024) << "or the context need not grow";
  }
}

TEST_F(DescribeCommand, RefusesWithNumbersWhatDoesNotFit) {
  CommandOptions options;
  options.environment["ESCRIBANO_MEMORY_LIMIT_MB"] = "50";
  for (const bool in_process : {true, false}) {
    std::vector<std::string> arguments = {frames()[0], "--model", "demo"};
    if (in_process) arguments.emplace_back("--in-process");
    const CommandResult result = describe(arguments, options);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr("demo needs "));
    EXPECT_THAT(result.err, HasSubstr("(weights 26 MiB, context "));
    EXPECT_THAT(result.err, HasSubstr("50 MiB can be had (ESCRIBANO_MEMORY_LIMIT_MB)"));
  }
}

TEST_F(DescribeCommand, SaysThatItUsesTheDemoModelWhereTheDefaultIsNotOnTheMachine) {
  CommandOptions options;
  options.environment["HF_HUB_CACHE"] = folder.path().native();
  const CommandResult result = describe({frames()[0]}, options);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err,
              HasSubstr("mlx-community/Qwen3-VL-2B-Instruct-bf16 is not on this machine; using the demo model"));
}

TEST_F(DescribeCommand, EveryBadImageFailsAloneWithItsNameAndTheReason) {
  std::string jpeg;
  {
    std::ifstream file(frames()[0], std::ios::binary);
    jpeg.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::vector<std::pair<std::string, std::string>> bad = {
      {(folder.path() / "missing.png").native(), "not_found"},
      {folder.path().native(), "unsupported"},
      {write("empty.png", ""), "corrupt"},
      {write("truncated.jpg", jpeg.substr(0, jpeg.size() / 2)), "corrupt"},
      {write("text.png", "I am not a picture.\n"), "unsupported"},
      {write("huge.png", huge_png()), "too_large"},
  };
  for (const std::string strategy : {"parallel", "interleaved"}) {
    std::vector<std::string> arguments = {frames()[0]};
    for (const auto& [path, code] : bad) arguments.push_back(path);
    arguments.push_back(frames()[1]);
    arguments.insert(arguments.end(), {"--model", "demo", "--strategy", strategy});
    const CommandResult result = describe(arguments);
    EXPECT_EQ(result.exit_code, 3) << result.err;
    const std::vector<Json> objects = lines(result.out);
    ASSERT_EQ(objects.size(), bad.size() + 2);
    EXPECT_FALSE(objects.front().contains("error"));
    EXPECT_FALSE(objects.back().contains("error"));
    for (std::size_t i = 0; i < bad.size(); ++i) {
      const Json& object = objects[i + 1];
      ASSERT_TRUE(object.contains("error")) << bad[i].first;
      EXPECT_EQ(object.at("error").at("code"), bad[i].second) << object.at("error").dump();
      EXPECT_THAT(object.at("error").at("message").get<std::string>(), HasSubstr(bad[i].first));
      EXPECT_EQ(object.at("description"), "");
      EXPECT_EQ(object.at("activity"), "unknown");
      EXPECT_THAT(object.at("apps"), IsEmpty());
      EXPECT_THAT(object.at("topics"), IsEmpty());
      EXPECT_THAT(result.err, HasSubstr(bad[i].first));
    }
  }
}

TEST_F(DescribeCommand, APathThatIsNotUtf8IsPrintedAsValidJson) {
  const CommandResult result = describe({(folder.path() / "fr\xFF\x61me\n.png").native(), "--model", "demo"});
  EXPECT_EQ(result.exit_code, 3);
  ASSERT_EQ(lines(result.out).size(), 1u) << "the line break in the name is escaped";
}

TEST_F(DescribeCommand, InterleavedSplitsBatchesThatTheModelCannotTakeAndSaysSo) {
  std::vector<std::string> arguments = frames();
  arguments.insert(arguments.end(), {"--model", "demo", "--strategy", "interleaved", "--batch-size", "8",
                                     "--timestamps", "6,18,33,65.5,79,122,163,174"});
  const CommandResult result = describe(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("up to 6 frames a prompt; batches of 8 are split"));
  EXPECT_EQ(lines(result.out).size(), 8u);
}

TEST_F(DescribeCommand, BadModelsAreRefusedByNameAndReasonBeforeAnyFrame) {
  const std::filesystem::path demo = kSource / "assets" / "demo-model";
  std::filesystem::create_directory(folder.path() / "no-tokenizer");
  for (const auto& entry : std::filesystem::directory_iterator(demo)) {
    if (entry.path().filename() == "tokenizer.json") continue;
    std::filesystem::copy(entry.path(), folder.path() / "no-tokenizer");
  }
  // A pair that was imported before, with its language model cut in half.
  ASSERT_EQ(describe({frames()[0], "--model", "demo"}).exit_code, 0);
  std::filesystem::path whole;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(ESCRIBANO_BINARY_DIR "/test-home")) {
    const std::string name = entry.path().filename().native();
    if (name.ends_with(".gguf") && name.find("mmproj") == std::string::npos) whole = entry.path();
  }
  ASSERT_FALSE(whole.empty());
  std::filesystem::copy(whole, folder.path() / "half.gguf");
  std::filesystem::copy(whole, folder.path() / "alone.gguf");
  std::filesystem::resize_file(folder.path() / "half.gguf", std::filesystem::file_size(whole) / 2);

  const std::vector<std::pair<std::string, std::string>> bad = {
      {"half.gguf", "half.gguf"},
      {"alone.gguf", "text"},  // without a projector it is a text model
      {"no-tokenizer", "tokenizer.json"},
      {"missing", "missing"},
  };
  for (const auto& [name, reason] : bad) {
    CommandOptions options;
    options.environment["ESCRIBANO_HOME"] = folder.path() / "home";
    const CommandResult result = describe({frames()[0], "--model", (folder.path() / name).native()}, options);
    EXPECT_EQ(result.exit_code, 1) << name;
    EXPECT_THAT(result.out, IsEmpty());
    EXPECT_THAT(result.err, HasSubstr(reason)) << name;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << "one clear error:\n" << result.err;
  }
}

TEST_F(DescribeCommand, ABridgeWithAnotherModelIsNotTakenForTheOneAskedFor) {
  BridgeProgram bridge;
  bridge.arguments.insert(bridge.arguments.end(), {"--mode", "vlm"});
  bridge.serve();
  CommandOptions options;
  options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = bridge.socket();
  // Another name for the same files is another model to whoever asks.
  const std::filesystem::path other = folder.path() / "other";
  std::filesystem::create_directory_symlink(kSource / "assets" / "demo-model", other);
  const CommandResult refused = describe({frames()[0], "--model", other}, options);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("serves demo, not"));
  // Where none was asked for, the one that is there will do.
  const CommandResult taken = describe({frames()[0]}, options);
  EXPECT_EQ(taken.exit_code, 0) << taken.err;
  EXPECT_THAT(taken.err, Not(HasSubstr("not on this machine")));
}

TEST_F(DescribeCommand, WrongUsageExitsWithTwoAndNamesTheProblem) {
  const auto usage = [&](std::vector<std::string> arguments, CommandOptions options = {}) {
    const CommandResult result = describe(std::move(arguments), std::move(options));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.out, IsEmpty());
    return result.err;
  };
  EXPECT_THAT(usage({}), HasSubstr("IMAGE"));
  EXPECT_THAT(usage({"a.png", "--batch-size", "0"}), HasSubstr("--batch-size"));
  EXPECT_THAT(usage({"a.png", "--strategy", "sideways"}), HasSubstr("sideways"));
  EXPECT_THAT(usage({"a.png", "b.png", "--timestamps", "1"}), HasSubstr("--timestamps"));
  EXPECT_THAT(usage({"a.png", "--timestamps", "nan"}), HasSubstr("timestamp"));
  CommandOptions options;
  options.environment["ESCRIBANO_VLM_BATCH_SIZE"] = "many";
  EXPECT_THAT(usage({"a.png"}, options), HasSubstr("ESCRIBANO_VLM_BATCH_SIZE"));
  options.environment.erase("ESCRIBANO_VLM_BATCH_SIZE");
  options.environment["ESCRIBANO_PATCHES"] = "changed";
  options.environment["ESCRIBANO_KERNELS"] = "false";
  EXPECT_THAT(usage({frames()[0], "--in-process", "--model", "demo"}, options),
              AllOf(HasSubstr("ESCRIBANO_PATCHES=changed"), HasSubstr("ESCRIBANO_KERNELS")));
}

TEST_F(DescribeCommand, AnInterruptStopsCleanlyAndKeepsWhatWasPrinted) {
  std::vector<std::string> arguments;
  for (int i = 0; i < 40; ++i) arguments.push_back(frames()[static_cast<std::size_t>(i % 8)]);
  arguments.insert(arguments.end(), {"--model", "demo", "--batch-size", "1"});
  CommandOptions options;
  options.on_first_output = [](int pid) { ::kill(pid, SIGINT); };
  const CommandResult result = describe(arguments, options);
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("interrupted after "));
  EXPECT_GE(lines(result.out).size(), 1u);
  EXPECT_LT(lines(result.out).size(), 40u);
}

TEST_F(DescribeCommand, TextIsForPeople) {
  const CommandResult result = describe({frames()[0], "--model", "demo", "--text"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("(672x384, 252 image tokens, "));
  EXPECT_THAT(result.out,
              HasSubstr("activity: querying   apps: TablePlus, Figma   topics: weather, database, authentication"));
}

TEST_F(DescribeCommand, AnUnknownCommandIsNamed) {
  const CommandResult result = run_command({escribano_program(), "describ"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("there is no command 'describ'"));
  EXPECT_EQ(run_command({escribano_program()}).exit_code, 2);
}

TEST_F(DescribeCommand, HelpHasAnExample) {
  const CommandResult result = run_command({escribano_program(), "describe", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, HasSubstr("Example:"));
  EXPECT_THAT(result.err, IsEmpty());
}

}  // namespace
}  // namespace escribano
