// How bridges are found, started, lost and ended.
#include <csignal>
#include <stdexcept>
#include <thread>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_lock.h"
#include "base/subprocess.h"
#include "base/unix_socket.h"
#include "intelligence/bridge_client.h"
#include "intelligence/bridge_fixture.h"

namespace escribano {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class BridgeLifecycle : public BridgeTest {
 protected:
  // A bridge that someone else started.
  Subprocess start_elsewhere(const BridgeClientOptions& options) {
    SubprocessOptions child{.arguments = options.command, .environment = options.environment};
    child.environment["ESCRIBANO_MLX_SOCKET_PATH"] = options.socket_path;
    auto process = Subprocess::start(child);
    if (!process) throw std::runtime_error(process.error().message);
    pollfd entry = {.fd = process->out.get(), .events = POLLIN, .revents = 0};
    ::poll(&entry, 1, 60'000);
    return *std::move(process);
  }
};

TEST_F(BridgeLifecycle, NothingIsStartedBeforeTheFirstCall) {
  { const auto service = client(1); }
  EXPECT_EQ(starts(), 0u);
}

TEST_F(BridgeLifecycle, OneBridgeServesAllCallsAndEndsWithTheClient) {
  pid_t pid = 0;
  {
    const auto service = client(1);
    for (int call = 0; call < 3; ++call) ASSERT_TRUE(service->describe_images(frames(2), patient(), {}).status);
    pid = last_started();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(starts(), 1u);
}

TEST_F(BridgeLifecycle, TwoThreadsStartOneBridge) {
  auto bridge = options(1);
  bridge.environment["FIXTURE_START_MS"] = "200";
  const auto service = make_bridge_client(bridge);
  const auto mine = frames(3);
  const auto theirs = frames(3);
  DescribeOutcome other;
  std::jthread thread([&] { other = service->describe_images(theirs, patient(), {}); });
  const auto outcome = service->describe_images(mine, patient(), {});
  thread.join();
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  ASSERT_TRUE(other.status) << other.status.error().message;
  expect_described(outcome.results, mine, 1);
  expect_described(other.results, theirs, 1);
  EXPECT_EQ(starts(), 1u);
}

TEST_F(BridgeLifecycle, TwoProcessesStartOneBridge) {
  const auto images = frames(2);
  const auto bridge = options(1);
  SubprocessOptions driver{.arguments = {ESCRIBANO_BINARY_DIR "/bin/bridge_driver", bridge.socket_path,
                                         fixture_script(1), images[0].path, images[1].path},
                           .environment = bridge.environment};
  driver.environment["FIXTURE_START_MS"] = "200";
  std::vector<Subprocess> drivers;
  for (int i = 0; i < 3; ++i) {
    auto started = Subprocess::start(driver);
    ASSERT_TRUE(started) << started.error().message;
    drivers.push_back(*std::move(started));
  }
  const std::string expected = expected_text(images[0], 1) + "\n" + expected_text(images[1], 1) + "\n";
  for (Subprocess& process : drivers) {
    std::string text;
    while (text.size() < expected.size()) {
      pollfd entry = {.fd = process.out.get(), .events = POLLIN, .revents = 0};
      ASSERT_EQ(::poll(&entry, 1, 100'000), 1);
      char bytes[1024];
      const ssize_t got = ::read(process.out.get(), bytes, sizeof bytes);
      if (got <= 0) break;
      text.append(bytes, static_cast<std::size_t>(got));
    }
    EXPECT_EQ(text, expected);
  }
  EXPECT_EQ(starts(), 1u);
  for (Subprocess& process : drivers) process.in.reset();
  for (Subprocess& process : drivers) {
    ASSERT_TRUE(process.wait(kPatience));
    EXPECT_EQ(process.ended(), "exited with status 0");
  }
}

TEST_F(BridgeLifecycle, ABridgeOfSomeoneElseIsJoinedAndLeftAlone) {
  auto bridge = options(1);
  Subprocess other = start_elsewhere(bridge);
  {
    const auto service = make_bridge_client(bridge);
    const auto images = frames(2);
    const auto outcome = service->describe_images(images, patient(), {});
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    expect_described(outcome.results, images, 1);
  }
  EXPECT_FALSE(other.ended());
  EXPECT_EQ(starts(), 1u);
  other.stop(kPatience);
}

TEST_F(BridgeLifecycle, ABridgeOfEitherGenerationIsFoundWhereItListens) {
  for (const int generation : {1, 2}) {
    Subprocess other = start_elsewhere(options(generation));
    BridgeClientOptions join{.socket_path = socket()};  // as our own command would look
    const auto service = make_bridge_client(join);
    const auto images = frames(2);
    const auto outcome = service->describe_images(images, patient(), {});
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    expect_described(outcome.results, images, generation);
    other.stop(kPatience);
  }
}

TEST_F(BridgeLifecycle, WithoutACommandOnlyARunningBridgeCounts) {
  const auto service = make_bridge_client({.socket_path = socket()});
  const auto outcome = service->describe_images(frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_unavailable);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("bridge-vlm.sock"));
}

TEST_F(BridgeLifecycle, APathTooLongForASocketIsNamed) {
  auto bridge = options(1);
  bridge.socket_path = "/tmp/" + std::string(150, 'x') + ".sock";
  const auto outcome = make_bridge_client(bridge)->describe_images(frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::invalid_argument);
  EXPECT_EQ(starts(), 0u);
}

// Starts that come to nothing: what the error says, and that it comes at once.
struct BadStart {
  const char* fault;
  const char* message;
};
class BadStarts : public BridgeTest, public testing::WithParamInterface<BadStart> {};

TEST_P(BadStarts, AreSaid) {
  auto bridge = options(1, GetParam().fault);
  if (std::string(GetParam().fault).starts_with("never-ready")) bridge.startup_timeout = milliseconds(2500);
  const auto service = make_bridge_client(bridge);
  const auto outcome = service->describe_images(frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_unavailable);
  EXPECT_THAT(outcome.status.error().message, HasSubstr(GetParam().message));
  EXPECT_EQ(starts(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, BadStarts,
    testing::Values(BadStart{"die-at-start",
                             "exited with status 1 before it was ready; its last words: [MLX] loading / "
                             "[MLX] there is no such model"},
                    BadStart{"never-ready", "not ready within 2.5 s and was ended; its last words: [MLX] loading"},
                    BadStart{"fatal", "the model cannot be loaded"},
                    BadStart{"die-when-ready", "exited with status 3 as soon as it was ready"},
                    BadStart{"never-listens", "said that it is ready, but nobody answers at"}),
    [](const auto& test) {
      std::string name = test.param.fault;
      std::erase(name, '-');
      return name;
    });

TEST_F(BridgeLifecycle, ACommandThatIsNotThereIsNamed) {
  auto bridge = options(1);
  bridge.command = {"no-such-bridge-of-escribano"};
  const auto outcome = make_bridge_client(bridge)->describe_images(frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_unavailable);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("no-such-bridge-of-escribano"));
}

TEST_F(BridgeLifecycle, WhereAnotherOneRunsAlreadyItIsWaitedFor) {
  auto bridge = options(1, "fatal-already-running,first-only");
  const auto service = make_bridge_client(bridge);
  DescribeOutcome outcome;
  const auto images = frames(2);
  std::jthread caller([&] { outcome = service->describe_images(images, patient(), {}); });
  ASSERT_TRUE(eventually([&] { return starts() == 1; }));
  Subprocess other = start_elsewhere(bridge);
  caller.join();
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 1);
  EXPECT_EQ(starts(), 2u);
  other.stop(kPatience);
}

TEST_F(BridgeLifecycle, ACallThatIsGivenUpLeavesTheStartToTheNext) {
  auto bridge = options(1);
  bridge.environment["FIXTURE_START_MS"] = "400";
  const auto service = make_bridge_client(bridge);
  auto hurried = patient();
  hurried.deadline = milliseconds(30);
  const auto images = frames(2);
  EXPECT_EQ(service->describe_images(images, hurried, {}).status.error().code, Errc::deadline_exceeded);
  const auto outcome = service->describe_images(images, patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  EXPECT_EQ(starts(), 1u);
}

TEST_F(BridgeLifecycle, AStopReachesACallThatWaitsForAStart) {
  const auto service = client(1, "never-ready");
  std::stop_source stop;
  auto options = patient();
  options.stop = stop.get_token();
  std::jthread stopper([&] {
    eventually([&] { return starts() == 1; });
    stop.request_stop();
  });
  EXPECT_EQ(service->describe_images(frames(1), options, {}).status.error().code, Errc::cancelled);
}

TEST_F(BridgeLifecycle, ADeathInARequestIsSaidAndTheNextCallHasANewBridge) {
  const auto service = client(1, "die-after=1,first-only");
  const auto images = frames(8);
  const auto lost = service->describe_images(images, patient(), {});
  ASSERT_FALSE(lost.status);
  EXPECT_EQ(lost.status.error().code, Errc::bridge_died);
  EXPECT_THAT(lost.status.error().message,
              AllOf(HasSubstr("was killed by signal 9"), HasSubstr("Traceback: no more memory")));
  EXPECT_EQ(lost.results.size(), 4u);
  const auto outcome = service->describe_images(images, patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 1);
  EXPECT_EQ(starts(), 2u);
}

TEST_F(BridgeLifecycle, AllCallsThatLoseABridgeSayHowItEnded) {
  const auto service = client(2, "stall-after=0");
  std::vector<DescribeOutcome> outcomes(3);
  {
    std::vector<std::jthread> threads;
    for (auto& outcome : outcomes) {
      threads.emplace_back([&, images = frames(2)] { outcome = service->describe_images(images, patient(), {}); });
    }
    EXPECT_TRUE(eventually([&] { return requests().size() >= 6; }));  // each is refused once, and then asks on
    ::kill(last_started(), SIGKILL);
  }
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome.status);
    EXPECT_EQ(outcome.status.error().code, Errc::bridge_died);
    EXPECT_THAT(outcome.status.error().message, HasSubstr("was killed by signal 9"));
  }
}

TEST_F(BridgeLifecycle, ABridgeThatDiedBetweenCallsIsReplaced) {
  const auto service = client(2);
  ASSERT_TRUE(service->describe_images(frames(1), patient(), {}).status);
  ::kill(last_started(), SIGKILL);
  const auto images = frames(2);
  const auto began = starts();
  const auto outcome = service->describe_images(images, patient(), {});
  if (!outcome.status) {
    // The kill may reach it while it answers.
    EXPECT_EQ(outcome.status.error().code, Errc::bridge_died);
    EXPECT_TRUE(service->describe_images(images, patient(), {}).status);
  }
  EXPECT_EQ(starts(), began + 1);
}

TEST_F(BridgeLifecycle, DeathsInARowDelayTheNextStart) {
  auto bridge = options(1, "die-after=0");
  std::vector<int> asked;
  bridge.restart_delay = [&](int deaths) {
    if (asked.empty() || asked.back() != deaths) asked.push_back(deaths);
    return milliseconds(1);
  };
  const auto service = make_bridge_client(bridge);
  for (int call = 0; call < 4; ++call)
    EXPECT_EQ(service->describe_images(frames(1), patient(), {}).status.error().code, Errc::bridge_died);
  EXPECT_EQ(starts(), 4u);
  EXPECT_THAT(asked, ElementsAre(1, 2, 3));
}

TEST_F(BridgeLifecycle, ASuccessEndsTheRowOfDeaths) {
  auto bridge = options(1, "die-after=1");
  std::vector<int> asked;
  bridge.restart_delay = [&](int deaths) {
    asked.push_back(deaths);
    return milliseconds(0);
  };
  const auto service = make_bridge_client(bridge);
  for (int call = 0; call < 3; ++call) {
    EXPECT_FALSE(service->describe_images(frames(8), patient(), {}).status);
    EXPECT_TRUE(service->describe_images(frames(4), patient(), {}).status);
  }
  EXPECT_THAT(asked, testing::Each(1));
}

TEST_F(BridgeLifecycle, TheWaitBeforeARestartRespectsTheDeadline) {
  auto bridge = options(1, "die-after=0");
  bridge.restart_delay = [](int) { return milliseconds(1'000'000); };
  const auto service = make_bridge_client(bridge);
  EXPECT_EQ(service->describe_images(frames(1), patient(), {}).status.error().code, Errc::bridge_died);
  auto hurried = patient();
  hurried.deadline = milliseconds(50);
  EXPECT_EQ(service->describe_images(frames(1), hurried, {}).status.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(starts(), 1u);
}

TEST_F(BridgeLifecycle, AJoinedBridgeThatWasAboutToEndIsAskedOnceMore) {
  auto bridge = options(1, "close-unheard=1");
  Subprocess other = start_elsewhere(bridge);
  bridge.command.clear();
  {
    const auto service = make_bridge_client(bridge);
    const auto outcome = service->describe_images(frames(2), patient(), {});
    EXPECT_TRUE(outcome.status) << outcome.status.error().message;
  }
  other.stop(kPatience);
}

TEST_F(BridgeLifecycle, AJoinedBridgeThatHangsUpTwiceIsNotAskedForEver) {
  auto bridge = options(1, "close-unheard=1000");
  Subprocess other = start_elsewhere(bridge);
  bridge.command.clear();
  {
    const auto service = make_bridge_client(bridge);
    const auto outcome = service->describe_images(frames(2), patient(), {});
    ASSERT_FALSE(outcome.status);
    EXPECT_EQ(outcome.status.error().code, Errc::bridge_died);
  }
  other.stop(kPatience);
}

TEST_F(BridgeLifecycle, ADeadSocketAndALeftLockAreNoHindrance) {
  const auto path = socket();
  ASSERT_TRUE(listen_unix(path));                                    // dead at once
  ASSERT_TRUE(write_file_atomically(path.native() + ".start", ""));  // of a process that was killed
  const auto service = client(1);
  const auto outcome = service->describe_images(frames(1), patient(), {});
  EXPECT_TRUE(outcome.status) << outcome.status.error().message;
}

TEST_F(BridgeLifecycle, WhoHoldsTheStartLockIsNotWaitedForForEver) {
  auto bridge = options(1);
  bridge.startup_timeout = milliseconds(100);
  const auto lock = FileLock::try_lock(socket().native() + ".start");
  ASSERT_TRUE(lock);
  ASSERT_TRUE(*lock);
  const auto outcome = make_bridge_client(bridge)->describe_images(frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_unavailable);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("another process"));
  EXPECT_EQ(starts(), 0u);
}

TEST_F(BridgeLifecycle, OurBridgeIsAskedToEnd) {
  auto bridge = options(2);
  bridge.foreign = false;
  bridge.environment["FIXTURE_SHUTDOWN"] = "1";
  { ASSERT_TRUE(make_bridge_client(bridge)->describe_images(frames(1), patient(), {}).status); }
  EXPECT_EQ(requests().back(), "shutdown");
  EXPECT_NE(::kill(last_started(), 0), 0);
}

TEST_F(BridgeLifecycle, OurBridgeStaysWhileOthersUseItAndEndsAfterThem) {
  auto bridge = options(2);
  bridge.foreign = false;
  bridge.environment["FIXTURE_SHUTDOWN"] = "1";
  auto service = make_bridge_client(bridge);
  ASSERT_TRUE(service->describe_images(frames(1), patient(), {}).status);
  const pid_t pid = last_started();
  auto other = connect_unix(folder_.path() / "bridge-vlm.sock");
  ASSERT_TRUE(other);
  ASSERT_TRUE(send_some(*other, "{\"id\":1,\"method\":\"ping\"}\n"));
  pollfd entry = {.fd = other->get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&entry, 1, 100'000), 1);  // it knows its other client
  service.reset();
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "bridge-vlm.sock"));
  other->reset();
  siginfo_t info = {};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(info.si_status, 0);
  EXPECT_TRUE(Subprocess::start({.arguments = {"true"}}));  // reaps what was left
}

TEST_F(BridgeLifecycle, ABridgeOfOthersThatIgnoresSigtermIsKilled) {
  auto bridge = options(1);
  bridge.command = {"python3", "-c",
                    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal = lambda *_: 0; "
                    "exec(open(sys.argv[1]).read())",
                    fixture_script(1)};
  bridge.shutdown_grace = milliseconds(100);
  { ASSERT_TRUE(make_bridge_client(bridge)->describe_images(frames(1), patient(), {}).status); }
  EXPECT_NE(::kill(last_started(), 0), 0);
}

TEST_F(BridgeLifecycle, ABridgeThatIsStillStartingEndsWithTheClient) {
  auto service = client(1, "never-ready");
  auto hurried = patient();
  hurried.deadline = milliseconds(50);
  EXPECT_FALSE(service->describe_images(frames(1), hurried, {}).status);
  service.reset();
  EXPECT_TRUE(starts() == 0 || ::kill(last_started(), 0) != 0);
}

}  // namespace
}  // namespace escribano
