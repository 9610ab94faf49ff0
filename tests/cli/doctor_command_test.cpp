// `escribano doctor` as a person or a script runs it: the real program, the demo model, and what can be wrong.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/unix_socket.h"
#include "support/bridge_program.h"
#include "support/run_command.h"
#include "support/server_process.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Report {
  CommandResult command;
  Json json;

  const Json& check(const std::string& name) const {
    for (const Json& check : json.at("checks")) {
      if (check.at("name") == name) return check;
    }
    throw std::runtime_error("no check " + name + " in " + command.out + command.err);
  }
  std::string status(const std::string& name) const { return check(name).at("status"); }
  std::string found(const std::string& name) const { return check(name).at("found"); }
  std::string mend(const std::string& name) const { return check(name).value("mend", ""); }
};

class DoctorCommand : public ::testing::Test {
 protected:
  CommandResult doctor(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {escribano_program(), "doctor"});
    return run_command(arguments, options);
  }
  Report report(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    Report made = {.command = doctor(std::move(arguments)), .json = {}};
    made.json = Json::parse(made.command.out);
    EXPECT_EQ(made.json.at("schema"), 1);
    EXPECT_EQ(made.json.at("ok"), made.command.exit_code == 0);
    return made;
  }
  std::filesystem::path vlm_socket() const { return folder.path() / "b-vlm.sock"; }
  // Names in the folder.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  TempFolder folder;
  CommandOptions options = {// The model that the other tests imported is used again.
                            .environment = {{"ESCRIBANO_HOME", ESCRIBANO_BINARY_DIR "/test-home"},
                                            {"ESCRIBANO_EMBEDDING_CACHE_MB", "0"},
                                            {"ESCRIBANO_MLX_SOCKET_PATH", (folder.path() / "b.sock").native()},
                                            // No file of the developer's own has a say.
                                            {"HF_HUB_CACHE", (folder.path() / "hub").native()}},
                            .on_first_output = {}};
  // One thread: tests run beside each other.
  const std::vector<std::string> demo = {"--model", "demo", "--threads", "1"};
};

TEST_F(DoctorCommand, SaysThatEverythingWorksWithADescriptionOfARealPicture) {
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_THAT(result.command.err, IsEmpty());
  std::vector<std::string> names;
  for (const Json& check : result.json.at("checks")) {
    if (check.at("name") == "ollama") continue;  // where the developer has one
    names.push_back(check.at("name"));
    // A machine of little memory is only warned of.
    if (names.back() != "machine" && names.back() != "model") {
      EXPECT_EQ(check.at("status"), "ok") << check;
      EXPECT_FALSE(check.contains("mend"));
    }
  }
  EXPECT_THAT(names, ElementsAre("machine", "libraries", "configuration", "model", "socket", "llm-socket",
                                 "vlm-backend", "llm-backend", "frame", "text"));
  EXPECT_THAT(result.found("machine"), AllOf(HasSubstr("core"), HasSubstr("of memory")));
  EXPECT_THAT(result.found("libraries"), AllOf(HasSubstr("llama.cpp "), HasSubstr("libcurl "), HasSubstr("libpng ")));
  EXPECT_THAT(result.found("model"), AllOf(HasSubstr("demo"), HasSubstr("looks at pictures")));
  EXPECT_THAT(result.found("socket"), HasSubstr(vlm_socket()));
  EXPECT_THAT(result.found("frame"), HasSubstr("TablePlus shows a query on the users table"));
  EXPECT_THAT(result.found("text"), HasSubstr("# Session summary"));
  EXPECT_THAT(files(), IsEmpty()) << "the bridges that it started are gone";
}

TEST_F(DoctorCommand, DescribesInItsOwnProcessOnRequest) {
  std::vector<std::string> arguments = demo;
  arguments.emplace_back("--in-process");
  const Report result = report(arguments);
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_THAT(result.found("vlm-backend"), HasSubstr("in this process"));
  EXPECT_THAT(result.found("frame"), HasSubstr("TablePlus"));
}

TEST_F(DoctorCommand, TextHasACheckALineAndFitsEightyColumns) {
  const CommandResult result = doctor(demo);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, IsEmpty()) << "no progress where standard error is no terminal";
  EXPECT_THAT(result.out, Not(HasSubstr("\033")));
  EXPECT_THAT(result.out, HasSubstr("\nok       vlm-backend    native: our own engine, behind a bridge\n"));
  EXPECT_THAT(result.out, HasSubstr("\nEverything works"));
  std::istringstream text(result.out);
  for (std::string line; std::getline(text, line);) {
    const bool one_word = line.size() > 24 && line.find(' ', 24) == std::string::npos;  // a path of this machine
    EXPECT_TRUE(line.size() <= 80 || one_word) << line;
  }
}

TEST_F(DoctorCommand, TheOutputInTheReadmeIsReal) {
  const std::string readme = read_text_file(ESCRIBANO_SOURCE_DIR "/README.md", 1 << 20).value();
  const std::string printed = doctor(demo).out;
  const std::size_t from = readme.find("\nok       socket");
  const std::size_t to = readme.find("```", from);
  ASSERT_LT(from, to);
  std::istringstream block(readme.substr(from + 1, to - from - 1));
  for (std::string line; std::getline(block, line);) {
    // Paths and times differ.
    if (line.starts_with("ok       ") && line.find("backend") == std::string::npos) line.resize(24);
    if (line.starts_with("         ")) continue;
    EXPECT_THAT(printed, HasSubstr(line + (line.size() == 24 ? "" : "\n")));
  }
}

TEST_F(DoctorCommand, WarnsThatTheDemoModelStandsInForTheDefault) {
  const Report result = report({"--threads", "1"});
  EXPECT_EQ(result.command.exit_code, 0);
  EXPECT_EQ(result.status("model"), "warning");
  EXPECT_THAT(result.found("model"), HasSubstr("mlx-community/Qwen3-VL-2B-Instruct-bf16 is not on this machine"));
  EXPECT_THAT(result.mend("model"), HasSubstr("/test-home/models/mlx-community/Qwen3-VL-2B-Instruct-bf16"));
  EXPECT_EQ(result.status("frame"), "ok");
}

TEST_F(DoctorCommand, NamesAModelThatIsNotThereAndWhoAskedForIt) {
  options.environment["ESCRIBANO_VLM_MODEL"] = (folder.path() / "none.gguf").native();
  const Report result = report({});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("model"), "failed");
  EXPECT_THAT(result.found("model"), HasSubstr("none.gguf"));
  EXPECT_THAT(result.mend("model"), HasSubstr("ESCRIBANO_VLM_MODEL"));
  EXPECT_EQ(result.status("frame"), "skipped");
  EXPECT_THAT(result.found("frame"), HasSubstr("model"));
}

TEST_F(DoctorCommand, ALivingBridgeSaysWhatItDoes) {
  BridgeProgram bridge;
  bridge.arguments.insert(bridge.arguments.end(), {"--mode", "vlm"});
  bridge.serve();
  options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = bridge.socket().native();
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_EQ(result.status("socket"), "ok");
  EXPECT_THAT(result.found("socket"),
              HasSubstr("a bridge answers (process " + std::to_string(bridge.pid()) + "): demo, "));
  EXPECT_THAT(result.found("socket"), HasSubstr("0 other clients"));
  EXPECT_THAT(result.found("frame"), HasSubstr("TablePlus"));
}

TEST_F(DoctorCommand, ADeadSocketIsNoProblem) {
  { const auto listener = listen_unix(vlm_socket()).value(); }
  ASSERT_TRUE(std::filesystem::is_socket(vlm_socket()));
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_EQ(result.status("socket"), "ok");
  EXPECT_THAT(result.found("socket"), HasSubstr("has died"));
  EXPECT_EQ(result.status("frame"), "ok");
}

TEST_F(DoctorCommand, AFileInTheWayOfTheSocketFailsAndIsLeftAlone) {
  std::ofstream(vlm_socket()) << "mine";
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("socket"), "failed");
  EXPECT_THAT(result.found("socket"), AllOf(HasSubstr(vlm_socket()), HasSubstr("in the way")));
  EXPECT_THAT(result.mend("socket"), HasSubstr("ESCRIBANO_MLX_SOCKET_PATH"));
  EXPECT_EQ(result.status("frame"), "skipped");
  EXPECT_EQ(read_text_file(vlm_socket(), 100).value(), "mine");
}

TEST_F(DoctorCommand, AListenerThatSaysNothingIsReportedSoon) {
  const auto listener = listen_unix(vlm_socket()).value();
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 0);
  EXPECT_EQ(result.status("socket"), "warning");
  EXPECT_THAT(result.found("socket"), HasSubstr("does not answer"));
  EXPECT_EQ(result.status("frame"), "skipped");
}

TEST_F(DoctorCommand, APlaceWhereNoSocketCanBeIsNamed) {
  options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = (folder.path() / "none" / "b.sock").native();
  Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_THAT(result.found("socket"), HasSubstr("no such folder"));
  EXPECT_THAT(result.mend("socket"), HasSubstr("make that folder"));

  options.environment["ESCRIBANO_MLX_SOCKET_PATH"] = (folder.path() / std::string(200, 'x')).native();
  result = report(demo);
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_THAT(result.found("socket"), HasSubstr("bytes long"));
}

TEST_F(DoctorCommand, AServerThatDoesNotAnswerFailsWithWhatToDo) {
  const ClosedPort closed;
  const Report result = report({"--vlm", "openai", "--vlm-url", closed.url()});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("vlm-backend"), "failed");
  EXPECT_THAT(result.found("vlm-backend"), HasSubstr(closed.url()));
  EXPECT_THAT(result.mend("vlm-backend"), AllOf(HasSubstr("start the server"), HasSubstr("ESCRIBANO_OPENAI_URL")));
  EXPECT_EQ(result.status("model"), "skipped");
  EXPECT_EQ(result.status("socket"), "skipped");
  EXPECT_EQ(result.status("llm-backend"), "ok");
  EXPECT_EQ(result.status("frame"), "skipped");

  const CommandResult text = doctor({"--vlm", "openai", "--vlm-url", closed.url()});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.out, HasSubstr("\n                        -> start the server, correct ESCRIBANO_OPENAI_URL"));
  EXPECT_THAT(text.out, HasSubstr("\n1 check failed"));
}

class DoctorOfServers : public DoctorCommand {
 protected:
  ServerProcess server{{"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/model_server.py"},
                       "listening on "};
};

TEST_F(DoctorOfServers, AServerDescribesThePictureWithAModelThatItLists) {
  for (const std::string backend : {"openai", "ollama"}) {
    const Report result = report({"--vlm", backend, "--vlm-url", server.url(), "--model", "good"});
    EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
    EXPECT_THAT(result.found("vlm-backend"), AllOf(HasSubstr(backend + ": " + server.url()), HasSubstr("has good")));
    EXPECT_THAT(result.found("frame"), HasSubstr("described in "));
  }
}

TEST_F(DoctorOfServers, TextsMayBeWrittenElsewhere) {
  std::vector<std::string> arguments = demo;
  arguments.insert(arguments.end(), {"--llm", "openai", "--llm-url", server.url(), "--llm-model", "good"});
  const Report result = report(arguments);
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_THAT(result.found("llm-backend"), HasSubstr("openai: " + server.url()));
  EXPECT_THAT(result.found("frame"), HasSubstr("TablePlus"));
  EXPECT_THAT(result.found("text"), HasSubstr(" tokens written in "));
}

TEST_F(DoctorOfServers, AModelThatOllamaDoesNotHaveHasARemedy) {
  options.environment["ESCRIBANO_LLM"] = "ollama";
  options.environment["ESCRIBANO_LLM_MODEL"] = "tall";
  options.environment["ESCRIBANO_OLLAMA_URL"] = server.url();
  const Report result = report(demo);
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("llm-backend"), "failed");
  EXPECT_THAT(result.found("llm-backend"), HasSubstr("good, babble:latest, but not tall"));
  EXPECT_EQ(result.mend("llm-backend"), "ollama pull tall");
  EXPECT_EQ(result.status("frame"), "ok") << "frames are none of its business";
  EXPECT_EQ(result.status("text"), "skipped");
}

TEST_F(DoctorOfServers, AnAnswerInAnotherFormIsAWarning) {
  const Report result = report({"--vlm", "ollama", "--vlm-url", server.url(), "--model", "babble"});
  EXPECT_EQ(result.command.exit_code, 0) << result.command.out;
  EXPECT_EQ(result.status("vlm-backend"), "ok") << "the tag 'latest' need not be named";
  EXPECT_EQ(result.status("frame"), "warning");
  EXPECT_THAT(result.found("frame"), HasSubstr("not in the form asked for"));
}

TEST_F(DoctorOfServers, AServerThatFailsForTheFrameFailsTheCheck) {
  const Report result = report({"--vlm", "openai", "--vlm-url", server.url(), "--model", "poison"});
  EXPECT_EQ(result.status("vlm-backend"), "warning") << "a server may have more than it lists";
  const Report full = report({"--vlm", "openai", "--vlm-url", server.url(), "--model", "gone"});
  EXPECT_EQ(full.command.exit_code, 1);
  EXPECT_EQ(full.status("frame"), "failed");
  EXPECT_THAT(full.mend("frame"), HasSubstr("server"));
}

TEST_F(DoctorOfServers, AKeyIsAskedForAndNeverShown) {
  options.environment["ESCRIBANO_OPENAI_API_KEY"] = "sesame";
  Report result = report({"--vlm", "openai", "--vlm-url", server.url() + "/locked/v1"});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("vlm-backend"), "failed");
  EXPECT_THAT(result.mend("vlm-backend"), HasSubstr("ESCRIBANO_OPENAI_API_KEY"));
  EXPECT_THAT(result.command.out, Not(HasSubstr("sesame")));

  result = report({"--vlm", "openai", "--vlm-url", server.url() + "/missing/v1"});
  EXPECT_EQ(result.status("vlm-backend"), "warning");
  EXPECT_THAT(result.found("vlm-backend"), HasSubstr("HTTP 404"));
}

TEST_F(DoctorOfServers, AnOllamaThatNobodyChoseIsMentioned) {
  options.environment["ESCRIBANO_OLLAMA_URL"] = server.url();
  const Report result = report(demo);
  EXPECT_EQ(result.status("ollama"), "ok");
  EXPECT_THAT(result.found("ollama"), AllOf(HasSubstr(server.url()), HasSubstr("not used"), HasSubstr("good")));
}

TEST_F(DoctorCommand, AnUnusableSettingIsNamedAndTheRestIsSkipped) {
  options.environment["ESCRIBANO_VLM_BATCH_SIZE"] = "many";
  Report result = report({});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_EQ(result.status("configuration"), "failed");
  EXPECT_THAT(result.found("configuration"), HasSubstr("ESCRIBANO_VLM_BATCH_SIZE is 'many'"));
  EXPECT_NE(result.mend("configuration"), "");
  EXPECT_EQ(result.status("libraries"), "ok");
  for (const char* name : {"model", "socket", "llm-socket", "vlm-backend", "llm-backend", "frame", "text"}) {
    EXPECT_EQ(result.status(name), "skipped") << name;
  }

  options.environment.erase("ESCRIBANO_VLM_BATCH_SIZE");
  options.environment["ESCRIBANO_HOME"] = folder.path().native();
  std::ofstream(folder.path() / "config.json") << "{";
  result = report({});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_THAT(result.found("configuration"), HasSubstr(folder.path() / "config.json"));
}

TEST_F(DoctorCommand, MissingFilesOfTheProgramAreNamed) {
  options.environment["ESCRIBANO_ASSETS"] = folder.path().native();
  const Report result = report({});
  EXPECT_EQ(result.command.exit_code, 1);
  EXPECT_THAT(result.found("configuration"), HasSubstr(folder.path()));
  EXPECT_THAT(result.mend("configuration"), HasSubstr("ESCRIBANO_ASSETS"));
}

TEST_F(DoctorCommand, WrongUsageExitsWithTwo) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--vlm", "sideways"}, {"picture.png"}, {"--vlm-url", "http://127.0.0.1:1"}}) {
    const CommandResult result = doctor(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.out, IsEmpty());
    EXPECT_THAT(result.err, Not(IsEmpty()));
  }
}

TEST(Help, OfEveryCommandFitsEightyColumns) {
  for (const char* command : {"", "describe", "bridge", "doctor"}) {
    std::vector<std::string> arguments = {escribano_program()};
    if (*command != '\0') arguments.emplace_back(command);
    arguments.emplace_back("--help");
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.err, IsEmpty());
    if (*command != '\0') {
      EXPECT_THAT(result.out, HasSubstr(std::string("\nExample:\n  escribano ") + command));
    }
    std::istringstream text(result.out);
    for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

}  // namespace
}  // namespace escribano
