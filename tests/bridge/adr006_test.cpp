// ADR-006 line by line: its testing checklist, its table of errors, the steps of its life cycle. With the real client, the
// real bridge and the demo model wherever they can show it.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unix_socket.h"
#include "bridge/fake_bridge.h"
#include "format/parser.h"
#include "format/prompts.h"
#include "support/bridge_program.h"
#include "support/real_bridge.h"
#include "support/run_command.h"

namespace escribano {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Adr006 : public RealBridgeTest {
 protected:
  // Only joins a bridge.
  static std::unique_ptr<IntelligenceService> joining(const std::filesystem::path& socket) {
    return make_bridge_client({.socket_path = socket});
  }
  static json describe(int id, const std::vector<Frame>& frames, json parameters) {
    json request = {{"id", id}, {"method", "describe_images"}, {"params", std::move(parameters)}};
    for (const Frame& frame : frames) {
      request["params"]["images"].push_back({{"imagePath", frame.path.native()}, {"timestamp", frame.timestamp_s}});
    }
    return request;
  }
  static void expect_in_order(const std::vector<FrameResult>& results, const std::vector<Frame>& frames) {
    ASSERT_EQ(results.size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      EXPECT_EQ(results[i].index, i);
      EXPECT_EQ(results[i].image_path, frames[i].path.native());
      EXPECT_EQ(results[i].timestamp_s, frames[i].timestamp_s);
    }
  }
};

// What the recording shows at a time; null where one screen gives way to the next.
const json* truth_at(const json& truth, double seconds) {
  constexpr double kMargin_s = 0.7;  // the recording shows a new screen one frame late
  for (const json& span : truth["spans"]) {
    if (seconds >= span["start"].get<double>() + kMargin_s && seconds <= span["end"].get<double>() - kMargin_s) {
      return &span;
    }
  }
  return nullptr;
}

json recording_truth() {
  std::ifstream file(ESCRIBANO_SOURCE_DIR "/assets/samples/session-a.truth.json");
  return json::parse(file);
}

// ---- "Testing Checklist"

class Adr006TestingChecklist : public Adr006 {};

TEST_F(Adr006TestingChecklist, BridgeStartsAndSignalsReady) {
  BridgeProgram bridge;
  std::erase(bridge.arguments, "--no-self-check");
  bridge.start();
  const json ready = json::parse(bridge.announcement());
  EXPECT_EQ(ready["status"], "ready");
  // Ready means ready: the model has described a picture, and the socket listens.
  const json status = bridge.status();
  EXPECT_EQ(status["loaded"], true);
  EXPECT_GE(status["work"]["images_encoded"], 1);
}

TEST_F(Adr006TestingChecklist, ClientConnectsSuccessfully) {
  BridgeProgram bridge;
  bridge.serve();
  const auto client = joining(bridge.socket());
  json during;
  const auto outcome = client->describe_images(recording_frames(1), patient(),
                                               [&](const FrameResult&, const Progress&) { during = bridge.status(); });
  EXPECT_TRUE(outcome.status) << outcome.status.error().message;
  EXPECT_EQ(during["clients"], 2);  // and who asks
  EXPECT_TRUE(eventually([&] { return bridge.status()["clients"] == 1; }));
}

TEST_F(Adr006TestingChecklist, SingleBatchProcessesCorrectly) {
  const auto client = make_bridge_client(options(Pictures::whole));
  std::vector<Frame> frames = recording_frames(8);
  frames = {frames[1], frames[3], frames[7], frames[5]};
  const auto outcome = client->describe_images(frames, patient(4), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_in_order(outcome.results, frames);
  const json truth = recording_truth();
  for (const FrameResult& result : outcome.results) {
    const json* span = truth_at(truth, result.timestamp_s);
    ASSERT_NE(span, nullptr);
    EXPECT_EQ(result.activity, (*span)["activity"]);
    EXPECT_EQ(json(result.apps), (*span)["apps"]);
    EXPECT_THAT(result.description, HasSubstr((*span)["project"]));
  }
}

TEST_F(Adr006TestingChecklist, MultipleBatchesStreamIncrementally) {
  BridgeProgram bridge;
  bridge.arguments.insert(bridge.arguments.end(), {"--max-image-tokens", "64"});
  bridge.serve();
  BridgePeer peer = bridge.connect();
  peer.send(describe(1, recording_frames(12), {{"batchSize", 2}}));
  json batch = peer.answer();
  // The first batch is here while others are still to be done.
  const json status = bridge.status();
  EXPECT_EQ(status["requests"], 1);
  EXPECT_LT(status["frames"]["done"], 12);
  for (int number = 1; number <= 6; ++number) {
    EXPECT_EQ(batch["batch"], number);
    EXPECT_EQ(batch["results"].size(), 2u);
    EXPECT_EQ(batch["partial"], number < 6);
    EXPECT_EQ(batch["progress"], json({{"current", 2 * number}, {"total", 12}}));
    batch = peer.answer();
  }
  EXPECT_EQ(batch, json({{"id", 1}, {"done", true}}));
}

TEST_F(Adr006TestingChecklist, CallbacksFireAfterEachBatch) {
  const auto client = make_bridge_client(options());
  std::vector<std::size_t> progress;
  std::vector<int> done;  // at the bridge, when the callback for a frame came
  const auto caller = std::this_thread::get_id();
  const auto outcome =
      client->describe_images(recording_frames(12), patient(2), [&](const FrameResult& result, const Progress& so_far) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(result.index + 1, so_far.current);
        EXPECT_EQ(so_far.total, 12u);
        progress.push_back(so_far.current);
        done.push_back(status().value()["frames"]["done"]);
      });
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  EXPECT_THAT(progress, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  ASSERT_EQ(done.size(), 12u);
  EXPECT_GE(done[0], 2);  // its whole batch
  EXPECT_LT(done[0], 12);
}

TEST_F(Adr006TestingChecklist, OutputFormatMatchesOllamaPipeDelimited) {
  BridgeProgram bridge;
  bridge.serve();
  const Frame frame = recording_frames(4)[3];
  BridgePeer peer = bridge.connect();
  // The model's own words for the picture and the prompt, as a server would give them to its client ...
  const json content = {
      {{"type", "image"}, {"imagePath", frame.path.native()}},
      {{"type", "text"}, {"text", std::string(builtin_prompt(PromptKind::single))}},
  };
  const json message = {{"role", "user"}, {"content", content}};
  const json infer = {{"id", 1}, {"method", "vlm_infer"}, {"params", {{"messages", {message}}, {"maxTokens", 200}}}};
  const std::string text = peer.answers(infer).at(0)["text"];
  EXPECT_THAT(text,
              ::testing::MatchesRegex("description: .* \\| activity: .* \\| apps: \\[.*\\] \\| topics: \\[.*\\]\n?"));
  const auto parsed = parse_description(text);
  ASSERT_TRUE(parsed) << text;
  // ... and what describe_images makes of it.
  const json result = peer.answers(describe(2, {frame}, json::object())).at(0)["results"][0];
  EXPECT_EQ(result["description"], parsed->description);
  EXPECT_EQ(result["activity"], parsed->activity);
  EXPECT_EQ(result["apps"], json(parsed->apps));
  EXPECT_EQ(result["topics"], json(parsed->topics));
}

TEST_F(Adr006TestingChecklist, ErrorResponsesHandled) {
  BridgeProgram bridge;
  bridge.arguments.insert(bridge.arguments.end(), {"--max-queued-frames", "2"});
  bridge.serve();
  const auto client = joining(bridge.socket());
  const auto refused = client->describe_images(recording_frames(3), patient(), {});
  ASSERT_FALSE(refused.status);
  EXPECT_EQ(refused.status.error().code, Errc::overloaded);
  EXPECT_THAT(refused.status.error().message, HasSubstr("limit of 2"));
  EXPECT_THAT(refused.results, IsEmpty());
  const auto next = client->describe_images(recording_frames(1), patient(), {});
  EXPECT_TRUE(next.status) << next.status.error().message;
}

TEST_F(Adr006TestingChecklist, SocketCleanupOnExit) {
  for (const int number : {SIGTERM, SIGINT, 0}) {
    BridgeProgram bridge;
    bridge.serve();
    EXPECT_THAT(bridge.files(), ElementsAre("b.sock"));
    if (number != 0) {
      bridge.signal(number);
    } else {
      bridge.connect().answers({{"id", 1}, {"method", "shutdown"}});
    }
    EXPECT_THAT(bridge.ended(), HasSubstr("status 0"));
    EXPECT_THAT(bridge.files(), IsEmpty());
  }
}

TEST_F(Adr006TestingChecklist, NoZombieProcesses) {
  std::vector<pid_t> seen;
  {
    const auto client = make_bridge_client(options());
    EXPECT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
    seen = children_of(::getpid());
    ::kill(seen.at(0), SIGKILL);
    // It is reaped while the client lives, by the next call at the latest. (That one may meet the bridge as it dies.)
    if (!client->describe_images(recording_frames(1), patient(), {}).status) {
      EXPECT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
    }
    ASSERT_EQ(children_of(::getpid()).size(), 1u);
    EXPECT_NE(children_of(::getpid()), seen);
  }
  EXPECT_THAT(children_of(::getpid()), IsEmpty());
}

TEST_F(Adr006TestingChecklist, EndToEndARealRecording) {
  const std::vector<Frame> frames = recording_frames(kRecordingFrames);
  std::vector<std::string> command = {escribano_program(), "describe", "--json",    "--socket", socket().native(),
                                      "--model",           "demo",     "--threads", "1",        "--timestamps"};
  std::ostringstream times;
  for (const Frame& frame : frames) times << (times.tellp() > 0 ? "," : "") << frame.timestamp_s;
  command.push_back(times.str());
  for (const Frame& frame : frames) command.push_back(frame.path.native());
  CommandOptions options;
  options.environment["ESCRIBANO_HOME"] = ESCRIBANO_BINARY_DIR "/test-home";
  options.environment["ESCRIBANO_EMBEDDING_CACHE_MB"] = "0";
  options.deadline = std::chrono::seconds(300);
  const CommandResult result = run_command(command, options);
  ASSERT_EQ(result.exit_code, 0) << result.err;

  const json truth = recording_truth();
  std::istringstream lines(result.out);
  std::size_t index = 0;
  int compared = 0;
  for (std::string line; std::getline(lines, line); ++index) {
    const json answer = json::parse(line);
    ASSERT_LT(index, frames.size());
    EXPECT_EQ(answer["index"], index);
    EXPECT_EQ(answer["imagePath"], frames[index].path.native());
    EXPECT_EQ(answer["timestamp"], frames[index].timestamp_s);
    const json* span = truth_at(truth, frames[index].timestamp_s);
    if (span == nullptr) continue;
    ++compared;
    EXPECT_EQ(answer["apps"], (*span)["apps"]) << line;
    EXPECT_EQ(answer["activity"], (*span)["activity"]) << line;
  }
  EXPECT_EQ(index, frames.size());
  EXPECT_GT(compared, 24);
}

// ---- the table of "Error Handling"

class Adr006ErrorHandling : public Adr006 {};

TEST_F(Adr006ErrorHandling, BridgeNotRunningIsStartedAndTheCallFailsWhereThatFails) {
  EXPECT_TRUE(make_bridge_client(options())->describe_images(recording_frames(1), patient(), {}).status);

  BridgeClientOptions bad = options();
  std::replace(bad.command.begin(), bad.command.end(), std::string("demo"), std::string("/nowhere/model.gguf"));
  const auto outcome = make_bridge_client(bad)->describe_images(recording_frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("the bridge could not start: "));
  EXPECT_THAT(outcome.status.error().message, HasSubstr("/nowhere/model.gguf"));
}

TEST_F(Adr006ErrorHandling, ConnectionRefused) {
  ASSERT_TRUE(listen_unix(socket()));  // a socket without a listener, as a crash leaves it
  ASSERT_THAT(files(), ElementsAre("b.sock"));
  const auto outcome = joining(socket())->describe_images(recording_frames(1), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_unavailable);
  EXPECT_THAT(outcome.status.error().message, HasSubstr(socket().native()));
  may_stay = {"b.sock"};  // not ours to remove: no bridge was started
}

// At each stage of its work: survival_test.cpp.
TEST_F(Adr006ErrorHandling, BridgeCrash) {
  const auto client = make_bridge_client(options());
  std::size_t delivered = 0;
  const auto outcome =
      client->describe_images(recording_frames(12), patient(2), [&](const FrameResult&, const Progress&) {
        if (++delivered == 2) ::kill(children_of(::getpid()).at(0), SIGABRT);
      });
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::bridge_died);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("was killed by signal 6"));
  EXPECT_EQ(outcome.results.size(), delivered);
}

TEST_F(Adr006ErrorHandling, ImageLoadFailureIsAnErrorOfItsFrameAndTheBatchContinues) {
  std::vector<Frame> frames = recording_frames(4);
  frames[1].path = folder() / "missing.png";
  frames[2].path = ESCRIBANO_SOURCE_DIR "/README.md";
  const auto client = make_bridge_client(options());
  const auto outcome = client->describe_images(frames, patient(2), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_in_order(outcome.results, frames);
  EXPECT_EQ(outcome.results[0].status(), FrameStatus::described);
  ASSERT_EQ(outcome.results[1].status(), FrameStatus::failed);
  EXPECT_EQ(outcome.results[1].error->code, Errc::not_found);
  ASSERT_EQ(outcome.results[2].status(), FrameStatus::failed);
  EXPECT_EQ(outcome.results[2].error->code, Errc::unsupported);
  EXPECT_EQ(outcome.results[3].status(), FrameStatus::described);
}

TEST_F(Adr006ErrorHandling, ParseFailureKeepsTheRawAnswerAndTheBatchContinues) {
  bridge::FakeBridge fake;
  fake.script->answer = [usual = fake.script->answer](const std::vector<int>& images, const std::string& text) {
    // For ever, as no grammar forbids.
    if (images == std::vector<int>{2}) return "description: " + std::string(4000, 'a');
    return usual(images, text);
  };
  fake.start();
  std::vector<Frame> frames;
  for (int i = 1; i <= 3; ++i) frames.push_back({fake.picture(i), 1.0 * i});
  const auto outcome = joining(fake.socket())->describe_images(frames, patient(3), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_in_order(outcome.results, frames);
  EXPECT_EQ(outcome.results[0].description, "Picture 1");
  ASSERT_EQ(outcome.results[1].status(), FrameStatus::unparsed);
  EXPECT_THAT(*outcome.results[1].raw_response, ::testing::StartsWith("description: a"));
  EXPECT_EQ(outcome.results[1].description, "");
  EXPECT_EQ(outcome.results[1].activity, "unknown");
  EXPECT_EQ(outcome.results[2].description, "Picture 3");
}

// The same of the real model, whose answers are cut off before they can be parsed.
TEST_F(Adr006ErrorHandling, ParseFailureOfACutAnswerKeepsTheRawAnswerOfTheModel) {
  DescribeOptions little = patient(2);
  little.max_tokens = 10;
  const std::vector<Frame> frames = recording_frames(4);
  const auto outcome = make_bridge_client(options(Pictures::whole))->describe_images(frames, little, {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_in_order(outcome.results, frames);
  for (const FrameResult& result : outcome.results) {
    ASSERT_EQ(result.status(), FrameStatus::unparsed);
    EXPECT_THAT(*result.raw_response, ::testing::StartsWith("description: "));
    EXPECT_EQ(result.stats.finish_reason, "length");
  }
}

// No bridge of ours writes one.
TEST_F(Adr006ErrorHandling, InvalidResponse) {
  BridgeClientOptions foreign;
  foreign.socket_path = socket();
  foreign.command = {"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/generation1_bridge.py"};
  foreign.foreign = true;
  foreign.environment = {{"FIXTURE_FAULTS", "garbage-after=1"}};
  const auto outcome = make_bridge_client(foreign)->describe_images(recording_frames(4), patient(2), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::protocol_error);
  EXPECT_EQ(outcome.results.size(), 2u);
}

TEST_F(Adr006ErrorHandling, SocketTimeout) {
  BridgeProgram bridge;
  bridge.serve();
  const auto client = joining(bridge.socket());
  ASSERT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
  bridge.signal(SIGSTOP);  // connections are still taken, by the system
  DescribeOptions hurried = patient();
  hurried.deadline = milliseconds(300);
  const auto begin = steady_clock::now();
  const auto outcome = client->describe_images(recording_frames(1), hurried, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::deadline_exceeded);
  EXPECT_LT(steady_clock::now() - begin, milliseconds(5000));
  bridge.signal(SIGCONT);
  EXPECT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
}

// ---- the steps of "Lifecycle"

class Adr006Lifecycle : public Adr006 {};

TEST_F(Adr006Lifecycle, Step1TheFirstDescribeImagesStartsTheBridge) {
  const auto client = make_bridge_client(options());
  EXPECT_THAT(children_of(::getpid()), IsEmpty());
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
  EXPECT_EQ(children_of(::getpid()).size(), 1u);
}

TEST_F(Adr006Lifecycle, Step2TheBridgeLoadsItsModelBindsItsSocketAndSignalsReady) {
  BridgeProgram bridge;
  bridge.start();
  ASSERT_TRUE(eventually([&] { return !bridge.files().empty(); }));
  // Whoever gets through to it finds the model loaded, and the line comes only then.
  EXPECT_TRUE(eventually([&] {
    const bool heard = !bridge.out().empty();
    EXPECT_TRUE(!heard || std::filesystem::exists(bridge.socket()));
    const auto status = status_at(bridge.socket());
    EXPECT_TRUE(!status || (*status)["loaded"] == true);
    return heard;
  }));
  EXPECT_EQ(json::parse(bridge.announcement())["status"], "ready");
  EXPECT_THAT(bridge.files(), ElementsAre("b.sock"));
  EXPECT_EQ(bridge.status()["loaded"], true);
}

TEST_F(Adr006Lifecycle, Step3TheClientConnectsToTheSocketOfTheBridgeItStarted) {
  const auto client = make_bridge_client(options());
  json during;
  EXPECT_TRUE(client
                  ->describe_images(recording_frames(1), patient(),
                                    [&](const FrameResult&, const Progress&) { during = status().value(); })
                  .status);
  EXPECT_THAT(children_of(::getpid()), ElementsAre(during["pid"].get<pid_t>()));
  EXPECT_EQ(during["clients"], 2);  // and who asks
}

TEST_F(Adr006Lifecycle, Step4RequestsAndResponsesFlowOverTheSocket) {
  const auto client = make_bridge_client(options());
  const std::vector<Frame> frames = recording_frames(6);
  ASSERT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
  const json before = status().value();
  DescribeOutcome other;
  {
    std::jthread second([&] { other = client->describe_images(frames, patient(), {}); });
    const auto outcome = client->describe_images(frames, patient(2), {});
    EXPECT_TRUE(outcome.status);
    expect_in_order(outcome.results, frames);
  }
  EXPECT_TRUE(other.status);
  expect_in_order(other.results, frames);
  const json after = status().value();
  EXPECT_EQ(after["pid"], before["pid"]);
  EXPECT_EQ(after["frames"]["done"], 13);
  EXPECT_EQ(after["requests"], 0);
}

TEST_F(Adr006Lifecycle, Step5OnExitTheClientEndsTheBridgeAndTheBridgeRemovesItsSocket) {
  auto client = make_bridge_client(options());
  EXPECT_TRUE(client->describe_images(recording_frames(1), patient(), {}).status);
  EXPECT_THAT(files(), ElementsAre("b-vlm.sock"));
  const auto begin = steady_clock::now();
  client.reset();
  EXPECT_LT(steady_clock::now() - begin, milliseconds(2000));
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_THAT(children_of(::getpid()), IsEmpty());
}

}  // namespace
}  // namespace escribano
