// The daemon as a process: how it starts, what it prints, and that nothing is left of it, however it ends.
#include <algorithm>
#include <csignal>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unix_socket.h"
#include "support/bridge_program.h"
#include "support/run_command.h"

namespace escribano {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const json kPing = {{"id", "p"}, {"method", "ping"}};

class BridgeProcess : public ::testing::Test {
 protected:
  BridgeProgram bridge;

  // Asks for frames and waits until the model is at work on them: "encode" or "decode".
  void wait_for(const std::string& stage) {
    ASSERT_TRUE(eventually([&] {
      const json status = bridge.status();
      if (stage == "encode") return status["running_sequences"] > 0 && status["work"]["decode_steps"] == 0;
      return status["work"]["decode_steps"] > 0;
    })) << stage;
  }
  std::ptrdiff_t lines_on_standard_output() {
    const std::string out = bridge.out();
    return std::count(out.begin(), out.end(), '\n');
  }
  // What a start looks like when it cannot be: one line that says why, another status, and everything as it was.
  json expect_fatal() {
    bridge.start();
    const json fatal = json::parse(bridge.announcement());
    EXPECT_THAT(bridge.ended(), Not(HasSubstr("status 0")));
    EXPECT_EQ(fatal["status"], "fatal");
    EXPECT_EQ(lines_on_standard_output(), 1);
    return fatal;
  }
};

TEST_F(BridgeProcess, AnnouncesItselfWithOneLineAndKeepsStandardOutputClean) {
  bridge.serve();
  const json ready = json::parse(bridge.announcement());
  EXPECT_EQ(ready["status"], "ready");
  EXPECT_EQ(ready["model"], "demo");
  EXPECT_EQ(ready["mode"], "vlm");
  EXPECT_EQ(ready["socket"], bridge.socket().native());
  BridgePeer peer = bridge.connect();
  EXPECT_EQ(peer.answers(BridgeProgram::describe(1, 1)).size(), 2u);
  EXPECT_EQ(lines_on_standard_output(), 1);
  const std::string log = bridge.err();
  EXPECT_THAT(log, HasSubstr(" info [MLX] "));
  // Frame text stays out of the log.
  EXPECT_THAT(log, Not(HasSubstr("description")));
}

TEST_F(BridgeProcess, TheSelfCheckDescribesARealPicture) {
  std::erase(bridge.arguments, "--no-self-check");
  bridge.serve();
  EXPECT_GE(bridge.status()["work"]["images_encoded"], 1);
}

TEST_F(BridgeProcess, StandsInForAnInterpreterThatRunsAScript) {
  bridge.program = ESCRIBANO_BINARY_DIR "/bin/escribano-bridge";
  bridge.as_command = false;
  bridge.arguments.insert(bridge.arguments.begin(), {"some/dir/mlx_bridge.py", "--mode", "vlm"});
  bridge.serve();
  EXPECT_THAT(bridge.files(), ElementsAre("b-vlm.sock"));
  BridgePeer peer(bridge.folder() / "b-vlm.sock");
  EXPECT_EQ(peer.answers(kPing).size(), 1u);
}

TEST_F(BridgeProcess, InLlmModeTheModelComesWithTheFirstRequest) {
  bridge.arguments.insert(bridge.arguments.begin(), {"--mode", "llm"});
  bridge.serve();
  EXPECT_EQ(json::parse(bridge.announcement())["model"], "llm-lazy");
  BridgePeer peer(bridge.folder() / "b-llm.sock");
  const std::string prompt =
      "Here is what happened during a recording:\n- 00:00-00:40 coding in VS Code on mosaic-gallery: Release "
      "checklist\n"
      "Please write the summary in Markdown.";
  const json answer =
      peer.answers({{"id", 1}, {"method", "llm_infer"}, {"params", {{"rawPrompt", prompt}, {"maxTokens", 150}}}}).at(0);
  EXPECT_THAT(answer["text"].get<std::string>(), HasSubstr("# Session summary"));
}

TEST_F(BridgeProcess, ASecondBridgeLeavesTheFirstAlone) {
  bridge.serve();
  BridgeProgram second;
  second.environment["ESCRIBANO_MLX_SOCKET_PATH"] = bridge.socket();
  second.start();
  const json fatal = json::parse(second.announcement());
  EXPECT_EQ(fatal["status"], "fatal");
  EXPECT_EQ(fatal["code"], "already_running");
  EXPECT_THAT(fatal["error"].get<std::string>(), HasSubstr(bridge.socket().native()));
  EXPECT_THAT(second.ended(), HasSubstr("status 1"));
  EXPECT_EQ(bridge.connect().answers(kPing).size(), 1u);
}

TEST_F(BridgeProcess, OfTwoThatStartAtOnceOneServes) {
  BridgeProgram second;
  second.environment["ESCRIBANO_MLX_SOCKET_PATH"] = bridge.socket();
  bridge.start();
  second.start();
  const json first_says = json::parse(bridge.announcement());
  const json second_says = json::parse(second.announcement());
  EXPECT_NE(first_says["status"], second_says["status"]);
  EXPECT_EQ(bridge.connect().answers(kPing).size(), 1u);
}

TEST_F(BridgeProcess, ADeadSocketIsRemovedByTheNextStart) {
  bridge.serve();
  bridge.signal(SIGKILL);
  EXPECT_THAT(bridge.ended(), HasSubstr("signal 9"));
  EXPECT_THAT(bridge.files(), ElementsAre("b.sock"));
  bridge.serve();
  EXPECT_EQ(bridge.connect().answers(kPing).size(), 1u);
}

TEST_F(BridgeProcess, KilledWhileItLoadsLeavesNothingThatStopsTheNextStart) {
  bridge.start();
  ASSERT_TRUE(eventually([&] { return !bridge.files().empty(); }));  // its lock: it is about to load
  bridge.signal(SIGKILL);
  bridge.ended();
  bridge.serve();
  bridge.signal(SIGTERM);
  EXPECT_THAT(bridge.ended(), HasSubstr("status 0"));
  EXPECT_THAT(bridge.files(), IsEmpty());
}

TEST_F(BridgeProcess, ARegularFileAtTheSocketsPathIsNotTouched) {
  std::ofstream(bridge.socket()) << "precious";
  const json fatal = expect_fatal();
  EXPECT_THAT(fatal["error"].get<std::string>(), HasSubstr(bridge.socket().native()));
  std::string content;
  std::ifstream(bridge.socket()) >> content;
  EXPECT_EQ(content, "precious");
  EXPECT_THAT(bridge.files(), ElementsAre("b.sock"));
}

TEST_F(BridgeProcess, ASocketPathThatIsTooLongIsRefusedWithTheLimit) {
  const std::string path = bridge.folder() / std::string(108 - bridge.folder().native().size() - 1, 'x');
  ASSERT_EQ(path.size(), 108u);
  bridge.environment["ESCRIBANO_MLX_SOCKET_PATH"] = path;
  const json fatal = expect_fatal();
  EXPECT_EQ(fatal["code"], "invalid_argument");
  EXPECT_THAT(fatal["error"].get<std::string>(), HasSubstr("107"));
  EXPECT_THAT(bridge.files(), IsEmpty());
}

TEST_F(BridgeProcess, AModelThatCannotBeLoadedIsFatalAndNamed) {
  bridge.arguments = {"--model", "/nowhere/model.gguf"};
  const json fatal = expect_fatal();
  EXPECT_THAT(fatal["error"].get<std::string>(), HasSubstr("/nowhere/model.gguf"));
  EXPECT_EQ(fatal["code"], "not_found");
  EXPECT_THAT(bridge.files(), IsEmpty());
}

TEST_F(BridgeProcess, AValueOutOfRangeIsFatalAndNamesTheVariable) {
  bridge.environment["ESCRIBANO_VLM_BATCH_SIZE"] = "0";
  EXPECT_THAT(expect_fatal()["error"].get<std::string>(), HasSubstr("ESCRIBANO_VLM_BATCH_SIZE"));
}

TEST_F(BridgeProcess, ASignalDuringInferenceAnswersWhatRunsAndEndsInTime) {
  for (const char* stage : {"encode", "decode"}) {
    bridge.serve();
    BridgePeer peer = bridge.connect();
    peer.send(BridgeProgram::describe(1, 40));
    wait_for(stage);
    const auto begin = steady_clock::now();
    bridge.signal(SIGTERM);
    json last;
    do {
      last = peer.answer();
    } while (!last.value("done", false));
    EXPECT_EQ(last["code"], "cancelled");
    EXPECT_THAT(bridge.ended(), HasSubstr("status 0"));
    EXPECT_LT(steady_clock::now() - begin, milliseconds(2000)) << stage;
    EXPECT_THAT(bridge.files(), IsEmpty());
  }
}

TEST_F(BridgeProcess, ASignalDuringTheLoadEndsItAtOnce) {
  bridge.start();
  ASSERT_TRUE(eventually([&] { return !bridge.files().empty(); }));
  bridge.signal(SIGTERM);
  EXPECT_THAT(bridge.ended(milliseconds(2000)), HasSubstr("status 0"));
  EXPECT_THAT(bridge.files(), IsEmpty());
}

TEST_F(BridgeProcess, ASignalInTheInstantTheLockIsTakenLeavesNoFile) {
  for (int i = 0; i < 20; ++i) {
    bridge.start();
    const auto limit = steady_clock::now() + milliseconds(10'000);
    while (bridge.files().empty()) ASSERT_LT(steady_clock::now(), limit);  // no pause: the instant is what counts
    bridge.signal(SIGTERM);
    EXPECT_THAT(bridge.ended(milliseconds(2000)), HasSubstr("status 0"));
    ASSERT_THAT(bridge.files(), IsEmpty()) << i;
  }
}

TEST_F(BridgeProcess, AFullDiskForTheLogStopsNothing) {
  bridge.environment["ESCRIBANO_MLX_LOG_FILE"] = "/dev/full";
  bridge.serve();
  BridgePeer peer = bridge.connect();
  EXPECT_EQ(peer.answers(BridgeProgram::describe(1, 1)).size(), 2u);
}

TEST_F(BridgeProcess, LogsGoToAFileThatStaysSmall) {
  const std::filesystem::path log = bridge.folder() / "bridge.log";
  bridge.environment["ESCRIBANO_MLX_LOG_FILE"] = log;
  bridge.environment["ESCRIBANO_LOG_MAX_BYTES"] = "2000";
  bridge.serve();
  bridge.signal(SIGTERM);
  bridge.ended();
  for (int i = 0; i < 20; ++i) {
    bridge.start();
    bridge.announcement();
    bridge.signal(SIGTERM);
    bridge.ended();
    if (std::filesystem::exists(bridge.folder() / "bridge.1.log")) break;
  }
  EXPECT_TRUE(std::filesystem::exists(bridge.folder() / "bridge.1.log"));
  EXPECT_LE(std::filesystem::file_size(log), 2000u);
}

TEST_F(BridgeProcess, WhoeverReadItsLogMayGo) {
  bridge.serve();
  bridge.close_log();
  BridgePeer peer = bridge.connect();
  EXPECT_EQ(peer.answers(BridgeProgram::describe(1, 1)).size(), 2u);
  EXPECT_EQ(peer.answers({{"id", 2}, {"method", "shutdown"}}).at(0)["status"], "shutting_down");
  EXPECT_THAT(bridge.ended(), HasSubstr("status 0"));
}

TEST_F(BridgeProcess, ShowsWhatItIsToPs) {
#ifdef __linux__
  bridge.serve();
  std::ifstream file("/proc/" + std::to_string(bridge.pid()) + "/cmdline");
  std::string title;
  std::getline(file, title, '\0');
  EXPECT_EQ(title, "escribano bridge: vlm");
#endif
}

}  // namespace
}  // namespace escribano
