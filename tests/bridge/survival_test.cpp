// The real client and the real bridge, and one of them killed at each stage of the other's work: the other one says so or
// ends, the next call works, and nothing is left.
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/bridge_program.h"
#include "support/real_bridge.h"

namespace escribano {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr milliseconds kAtOnce{5000};  // far less than any deadline in here

enum class Stage { load, encode, decode, between_batches };

std::string name_of(const ::testing::TestParamInfo<Stage>& test) {
  constexpr const char* kNames[] = {"DuringTheLoad", "DuringEncode", "DuringDecode", "BetweenTwoBatches"};
  return kNames[static_cast<int>(test.param)];
}

class Survival : public RealBridgeTest {
 protected:
  Survival() {
#ifdef __linux__
    // Bridges whose client is killed come to us, so that we see how they end.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
  }

  // Waits until a bridge at `at` is at that stage of its first request; `batches` counts those that its client has got.
  template <class Batches>
  bool reaches(Stage stage, const std::filesystem::path& at, const Batches& batches) const {
    return eventually([&] {
      if (stage == Stage::load) return std::filesystem::exists(at.native() + ".load");
      if (stage == Stage::between_batches) return batches() > 0;
      const auto status = status_at(at);
      if (!status) return false;
      return stage == Stage::encode ? (*status)["running_sequences"] > 0 : (*status)["work"]["decode_steps"] > 0;
    });
  }

  static std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) all.push_back(line);
    return all;
  }

  static void expect_described(const std::vector<FrameResult>& results, const std::vector<Frame>& frames) {
    ASSERT_EQ(results.size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(results[i].image_path, frames[i].path.native());
      EXPECT_EQ(results[i].status(), FrameStatus::described);
    }
  }
};

// ---- the bridge is killed

class TheBridgeIsKilled : public Survival, public ::testing::WithParamInterface<Stage> {
 protected:
  // One call of `service` whose bridge is killed at the stage.
  DescribeOutcome call_and_kill(IntelligenceService& service) {
    const std::vector<Frame> frames = recording_frames(kRecordingFrames);
    std::atomic<int> delivered = 0;
    DescribeOutcome outcome;
    std::atomic<bool> ended = false;
    std::jthread caller([&] {
      outcome = service.describe_images(frames, patient(2), [&](const FrameResult&, const Progress&) { ++delivered; });
      ended = true;
    });
    EXPECT_TRUE(reaches(GetParam(), listening(), [&] { return delivered / 2; }));
    const std::vector<pid_t> bridges = children_of(::getpid());
    EXPECT_EQ(bridges.size(), 1u);
    const auto killed_at = steady_clock::now();
    for (const pid_t pid : bridges) ::kill(pid, SIGKILL);
    caller.join();
    EXPECT_LT(steady_clock::now() - killed_at, kAtOnce);
    EXPECT_EQ(outcome.results.size(), static_cast<std::size_t>(delivered));
    expect_described(outcome.results, {frames.begin(), frames.begin() + delivered});
    return outcome;
  }
  // The same until the kill came in time: a load of the demo model is over soon.
  DescribeOutcome lose(IntelligenceService& service) {
    DescribeOutcome outcome = call_and_kill(service);
    for (int i = 0; GetParam() == Stage::load && i < 5 && is_late(outcome); ++i) outcome = call_and_kill(service);
    return outcome;
  }
  static bool is_late(const DescribeOutcome& outcome) {
    return !outcome.status && outcome.status.error().code == Errc::bridge_died;
  }
};

TEST_P(TheBridgeIsKilled, TheCallFailsAtOnceKeepsWhatCameAndTheNextCallHasANewBridge) {
  const auto service = make_bridge_client(options());
  const DescribeOutcome lost = lose(*service);
  ASSERT_FALSE(lost.status);
  EXPECT_EQ(lost.status.error().code, GetParam() == Stage::load ? Errc::bridge_unavailable : Errc::bridge_died);
  EXPECT_THAT(lost.status.error().message, HasSubstr("was killed by signal 9"));
  EXPECT_LT(lost.results.size(), kRecordingFrames);
  EXPECT_GE(lost.results.size(), GetParam() == Stage::between_batches ? 2u : 0u);

  const std::vector<Frame> frames = recording_frames(3);
  const DescribeOutcome next = service->describe_images(frames, patient(2), {});
  ASSERT_TRUE(next.status) << next.status.error().message;
  expect_described(next.results, frames);
}

TEST_P(TheBridgeIsKilled, NothingIsLeftWhereTheClientEndsWithoutAnotherCall) {
  const auto service = make_bridge_client(options());
  EXPECT_FALSE(lose(*service).status);
}

INSTANTIATE_TEST_SUITE_P(Survival, TheBridgeIsKilled,
                         ::testing::Values(Stage::load, Stage::encode, Stage::decode, Stage::between_batches), name_of);

// ---- the client is killed

class TheClientIsKilled : public Survival, public ::testing::WithParamInterface<Stage> {
 protected:
  // `escribano describe`, killed at a stage of the work of the bridge at `at`. Its bridges, if it started any.
  std::vector<pid_t> describe_and_kill(const std::filesystem::path& at) {
    auto client = Subprocess::start(describe_command(recording_frames(kRecordingFrames)));
    if (!client) throw std::runtime_error(client.error().message);
    bool output = false;
    const auto batches = [&] {
      char bytes[65536];
      output = output || ::read(client->out.get(), bytes, sizeof bytes) > 0;
      return output ? 1 : 0;
    };
    EXPECT_TRUE(reaches(GetParam(), at, batches));
    std::vector<pid_t> bridges = children_of(client->pid());
    ::kill(client->pid(), SIGKILL);
    EXPECT_TRUE(client->wait(kAtOnce));
    EXPECT_THAT(client->ended().value_or("still running"), HasSubstr("signal 9"));
    return bridges;
  }

  static void expect_end(pid_t pid) {
#ifdef __linux__
    int status = -1;
    EXPECT_TRUE(eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; })) << "the bridge lives on";
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
#else
    EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) != 0; })) << "the bridge lives on";
#endif
  }
};

TEST_P(TheClientIsKilled, TheBridgeThatItStartedEndsAndTheNextClientHasItsOwn) {
  const std::vector<pid_t> bridges = describe_and_kill(listening());
  ASSERT_EQ(bridges.size(), 1u);
  expect_end(bridges[0]);
  // A lock file of the client's own may stay until the next one.
  for (const std::string& name : files()) EXPECT_EQ(name, "b-vlm.sock.start");

  const auto service = make_bridge_client(options());
  const std::vector<Frame> frames = recording_frames(3);
  const DescribeOutcome next = service->describe_images(frames, patient(), {});
  ASSERT_TRUE(next.status) << next.status.error().message;
  expect_described(next.results, frames);
}

INSTANTIATE_TEST_SUITE_P(Survival, TheClientIsKilled,
                         ::testing::Values(Stage::load, Stage::encode, Stage::decode, Stage::between_batches), name_of);

class TheClientOfASharedBridgeIsKilled : public TheClientIsKilled {};

TEST_P(TheClientOfASharedBridgeIsKilled, TheBridgeGivesItsWorkUpAndServesTheNext) {
  BridgeProgram bridge;
  bridge.environment["ESCRIBANO_MLX_SOCKET_PATH"] = listening();
  bridge.arguments.insert(bridge.arguments.end(), {"--max-image-tokens", "64"});
  bridge.serve();
  EXPECT_THAT(describe_and_kill(listening()), IsEmpty());
  json status;
  EXPECT_TRUE(eventually([&] {
    status = this->status().value();
    return status["requests"] == 0 && status["running_sequences"] == 0 && status["queued_frames"] == 0 &&
           status["clients"] == 1;  // who asks
  })) << status;
  EXPECT_LT(status["frames"]["done"], kRecordingFrames);

  BridgeClientOptions join = options();
  join.command.clear();
  const std::vector<Frame> frames = recording_frames(3);
  const DescribeOutcome next = make_bridge_client(join)->describe_images(frames, patient(), {});
  ASSERT_TRUE(next.status) << next.status.error().message;
  expect_described(next.results, frames);
  EXPECT_EQ(this->status().value()["pid"], bridge.pid());
  bridge.signal(SIGTERM);
  EXPECT_THAT(bridge.ended(), HasSubstr("status 0"));
}

INSTANTIATE_TEST_SUITE_P(Survival, TheClientOfASharedBridgeIsKilled,
                         ::testing::Values(Stage::encode, Stage::decode, Stage::between_batches), name_of);

// ---- two at once

TEST_F(Survival, TwoDescribesAtOnceShareOneBridgeAndGetAllTheirFrames) {
  const std::filesystem::path log = folder() / "bridge.log";
  may_stay = {"bridge.log"};
  SubprocessOptions command = describe_command(recording_frames(12));
  command.environment["ESCRIBANO_MLX_LOG_FILE"] = log;
  std::vector<Subprocess> clients;
  for (int i = 0; i < 2; ++i) {
    auto client = Subprocess::start(command);
    ASSERT_TRUE(client) << client.error().message;
    clients.push_back(*std::move(client));
  }
  // Both are connected to it, beside us.
  EXPECT_TRUE(eventually([&] {
    const auto status = this->status();
    return status && (*status)["clients"] == 3;
  }));
  std::set<pid_t> bridges;
  for (const Subprocess& client : clients) {
    for (const pid_t pid : children_of(client.pid())) bridges.insert(pid);
  }
  EXPECT_EQ(bridges.size(), 1u);
  for (Subprocess& client : clients) {
    std::string out;
    EXPECT_TRUE(eventually([&] {
      char bytes[65536];
      for (ssize_t got = 0; (got = ::read(client.out.get(), bytes, sizeof bytes)) > 0;) {
        out.append(bytes, static_cast<std::size_t>(got));
      }
      return client.ended().has_value() && lines(out).size() == 12;
    })) << out;
    EXPECT_EQ(client.ended(), "exited with status 0");
  }
  // Whoever was the last to go may not be who started it: then the bridge ends by itself.
  EXPECT_TRUE(eventually([&] { return ::waitpid(-1, nullptr, WNOHANG) == -1; }));
  std::ifstream file(log);
  int served = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.find("serving ") != std::string::npos) ++served;
  }
  EXPECT_EQ(served, 1);
}

}  // namespace
}  // namespace escribano
