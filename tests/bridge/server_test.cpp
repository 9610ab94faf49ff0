// The daemon over real sockets and a fake model: what clients may do to it, and what it owes them.
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/unix_socket.h"
#include "bridge/fake_bridge.h"

namespace escribano::bridge {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const json kPing = {{"id", "p"}, {"method", "ping"}};
const json kStatus = {{"id", "s"}, {"method", "status"}};

std::vector<std::string> descriptions(const std::vector<json>& answers) {
  std::vector<std::string> all;
  for (const json& answer : answers) {
    if (!answer.contains("results")) continue;
    for (const json& result : answer["results"]) all.push_back(result["description"]);
  }
  return all;
}

class ServerTest : public ::testing::Test {
 protected:
  FakeBridge bridge;

  // The bridge still answers, and nothing is left of what went wrong.
  void expect_healthy() {
    EXPECT_TRUE(eventually([&] {
      const json status = bridge.status();
      return status["requests"] == 0 && status["running_sequences"] == 0 && status["queued_frames"] == 0;
    })) << bridge.status();
    BridgePeer peer = bridge.connect();
    EXPECT_THAT(descriptions(peer.answers(bridge.describe(1, {7}))), ElementsAre("Picture 7"));
    EXPECT_TRUE(script_is_clean());
  }
  bool script_is_clean() {
    const std::lock_guard lock(bridge.script->mutex);
    return bridge.script->violations.empty();
  }
};

TEST_F(ServerTest, BatchesComeInOrderAndThenTheDoneLineAlone) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const std::vector<json> answers = peer.answers(bridge.describe(123, {1, 2, 3, 4, 5}, {{"batchSize", 2}}));
  ASSERT_EQ(answers.size(), 4u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answers[i]["id"], 123);
    EXPECT_EQ(answers[i]["batch"], i + 1);
    EXPECT_EQ(answers[i]["partial"], i < 2);
    EXPECT_EQ(answers[i]["progress"], json({{"current", std::min<std::size_t>(2 * i + 2, 5)}, {"total", 5}}));
    EXPECT_FALSE(answers[i].contains("done"));
  }
  EXPECT_EQ(answers[3], json({{"id", 123}, {"done", true}}));
  EXPECT_THAT(descriptions(answers), ElementsAre("Picture 1", "Picture 2", "Picture 3", "Picture 4", "Picture 5"));
}

TEST_F(ServerTest, AFrameThatFailsTakesNeitherItsBatchNorTheLineAlong) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  json request = bridge.describe(1, {1, 2, 3});
  request["params"]["images"][1]["imagePath"] = "/nowhere/frame.png";
  const std::vector<json> answers = peer.answers(request);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_FALSE(answers[0].contains("error"));
  const json& failed = answers[0]["results"][1];
  EXPECT_EQ(failed["error"]["code"], "not_found");
  EXPECT_THAT(failed["error"]["message"].get<std::string>(), HasSubstr("/nowhere/frame.png"));
  EXPECT_EQ(failed["activity"], "unknown");
  EXPECT_THAT(descriptions(answers), ElementsAre("Picture 1", "", "Picture 3"));
}

TEST_F(ServerTest, PingAndStatusAreAnsweredWhileTheModelWorks) {
  bridge.start();
  bridge.hold("encode");
  BridgePeer busy = bridge.connect();
  busy.send(bridge.describe(1, {1}));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  BridgePeer other = bridge.connect();
  EXPECT_EQ(other.answers(kPing).at(0), json({{"id", "p"}, {"pong", true}, {"text", ""}, {"done", true}}));
  const json status = other.answers(kStatus).at(0)["status"];
  EXPECT_EQ(status["requests"], 1);
  EXPECT_EQ(status["clients"], 2);
  EXPECT_EQ(status["model"], "fake");
  EXPECT_EQ(status["mode"], "vlm");
  EXPECT_EQ(status["loaded"], true);
  bridge.release();
  EXPECT_EQ(busy.answer()["results"][0]["description"], "Picture 1");
}

TEST_F(ServerTest, SeveralRequestsAtOnceOnOneConnectionAreToldApartByTheirIds) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  for (int i = 0; i < 20; ++i) peer.send(bridge.describe(i, {i}));
  std::map<int, std::string> seen;
  int done = 0;
  while (done < 20) {
    const json answer = peer.answer();
    if (answer.contains("results")) seen[answer["id"]] = answer["results"][0]["description"];
    if (answer.value("done", false)) ++done;
  }
  for (int i = 0; i < 20; ++i) EXPECT_EQ(seen[i], "Picture " + std::to_string(i));
}

TEST_F(ServerTest, ASmallRequestIsNotStuckBehindALargeOne) {
  bridge.start();
  BridgePeer large = bridge.connect();
  bridge.hold("decode");
  large.send(bridge.describe(1, std::vector<int>(2000, 1)));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  BridgePeer small = bridge.connect();
  small.send(bridge.describe(2, {2, 3}));
  ASSERT_TRUE(eventually([&] { return bridge.status()["requests"] == 2; }));
  bridge.release();
  EXPECT_EQ(small.answer()["results"][1]["description"], "Picture 3");
  EXPECT_GT(bridge.status()["queued_frames"], 1000);
}

TEST_F(ServerTest, AClientWithManyRequestsDoesNotHoldUpAnother) {
  bridge.start();
  BridgePeer many = bridge.connect();
  bridge.hold("decode");
  for (int i = 0; i < 500; ++i) many.send(bridge.describe(i, {1}));
  ASSERT_TRUE(eventually([&] { return bridge.status()["requests"] == 500; }));
  BridgePeer one = bridge.connect();
  one.send(bridge.describe(1, {2}));
  ASSERT_TRUE(eventually([&] { return bridge.status()["requests"] == 501; }));
  bridge.release();
  EXPECT_EQ(one.answer()["results"][0]["description"], "Picture 2");
  EXPECT_GT(bridge.status()["requests"], 200);
}

TEST_F(ServerTest, CancelEndsARequestWithinAStep) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  bridge.hold("encode");
  peer.send(bridge.describe("long", {1, 2, 3}));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  peer.send(json{{"id", 9}, {"method", "cancel"}, {"params", {{"request", "long"}}}});
  EXPECT_EQ(peer.answer(), json({{"id", 9}, {"status", "cancelled"}, {"done", true}}));
  EXPECT_EQ(peer.answer(), json({{"id", "long"}, {"error", "cancelled"}, {"code", "cancelled"}, {"done", true}}));
  bridge.release();
  peer.send(json{{"id", 10}, {"method", "cancel"}, {"params", {{"request", "long"}}}});
  EXPECT_EQ(peer.answer()["code"], "not_found");
  expect_healthy();
}

TEST_F(ServerTest, NobodyCancelsTheRequestOfAnother) {
  bridge.start();
  BridgePeer owner = bridge.connect();
  bridge.hold("encode");
  owner.send(bridge.describe(1, {1}));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  BridgePeer other = bridge.connect();
  EXPECT_EQ(other.answers({{"id", 2}, {"method", "cancel"}, {"params", {{"request", 1}}}}).at(0)["code"], "not_found");
  bridge.release();
  EXPECT_EQ(owner.answer()["results"][0]["description"], "Picture 1");
}

TEST_F(ServerTest, ClosingTheConnectionCancelsEverythingItAskedFor) {
  bridge.start();
  for (const char* step : {"encode", "prefill", "decode"}) {
    bridge.hold(step);
    {
      BridgePeer peer = bridge.connect();
      peer.send(bridge.describe(1, std::vector<int>(100, 1)));
      peer.send(bridge.describe(2, {2}));
      ASSERT_TRUE(eventually([&] { return bridge.is_held(); })) << step;
    }
    ASSERT_TRUE(eventually([&] { return bridge.status()["requests"] == 0; })) << step;
    bridge.release();
    expect_healthy();
  }
}

TEST_F(ServerTest, AClientThatOnlyStopsSendingStillGetsItsAnswers) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  peer.send(bridge.describe(1, {1}));
  peer.end_input();
  EXPECT_EQ(peer.answer()["results"][0]["description"], "Picture 1");
  EXPECT_EQ(peer.answer()["done"], true);
  EXPECT_TRUE(peer.closed());
}

TEST_F(ServerTest, ADeadlineEndsTheRequestAndKeepsWhatWasDone) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  bridge.hold("encode");
  peer.send(bridge.describe(1, {1, 2}, {{"deadlineMs", 50}}));
  const json answer = peer.answer();
  EXPECT_EQ(answer["code"], "deadline_exceeded");
  EXPECT_EQ(answer["done"], true);
  bridge.release();
  expect_healthy();
}

TEST_F(ServerTest, FramesBeyondTheLimitAreRefusedWholeAndNothingIsDropped) {
  bridge.options.dispatcher.max_queued_frames = 10;
  bridge.start();
  BridgePeer peer = bridge.connect();
  bridge.hold("encode");
  peer.send(bridge.describe(1, {1, 2, 3, 4, 5, 6, 7}));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  BridgePeer other = bridge.connect();
  const json refused = other.answers(bridge.describe(2, {1, 2, 3, 4})).at(0);
  EXPECT_EQ(refused["code"], "overloaded");
  EXPECT_EQ(refused["done"], true);
  other.send(bridge.describe(3, {8, 9}));
  bridge.release();
  EXPECT_EQ(other.answer()["results"].size(), 2u);
  EXPECT_EQ(peer.answer()["results"].size(), 4u);
}

TEST_F(ServerTest, RequestsBeyondTheLimitInBytesAreRefusedForThatReason) {
  bridge.options.dispatcher.max_queued_bytes = 400;
  bridge.start();
  BridgePeer peer = bridge.connect();
  const json refused = peer.answers(bridge.describe(1, {1}, {{"prompt", std::string(500, 'x')}})).at(0);
  EXPECT_EQ(refused["code"], "overloaded");
  EXPECT_THAT(refused["error"].get<std::string>(), HasSubstr("the limit is 400"));
  EXPECT_THAT(descriptions(peer.answers(bridge.describe(2, {2}))), ElementsAre("Picture 2"));
}

TEST_F(ServerTest, AClientThatNeverReadsIsDroppedAndTheOthersAreServed) {
  bridge.start();
  BridgePeer deaf = bridge.connect();
  ASSERT_EQ(::fcntl(deaf.fd(), F_SETFL, O_NONBLOCK), 0);
  // Answers of 40 bytes for requests of 30: until the 16 MiB are full.
  std::string pings;
  for (int i = 0; i < 2000; ++i)
    pings += R"({"id":1,"method":"nothing of that name at all, only to be refused"})"
             "\n";
  ASSERT_TRUE(eventually([&] {
    for (int i = 0; i < 20; ++i) {
      const ssize_t put = ::send(deaf.fd(), pings.data(), pings.size(), MSG_NOSIGNAL);
      if (put < 0 && errno == EPIPE) return true;
      if (put < 0) break;
    }
    return false;
  }));
  EXPECT_EQ(bridge.connect().answers(kPing).size(), 1u);
  EXPECT_TRUE(eventually([&] { return bridge.status()["clients"] == 1; }));
}

TEST_F(ServerTest, ARequestSplitAtEveryByteIsTheSameRequest) {
  bridge.start();
  json request = bridge.describe("é\n", {4});
  request["params"]["prompt"] = "¿Qué se ve? 画面";
  const std::string line = request.dump() + "\r\n";
  BridgePeer peer = bridge.connect();
  for (const char byte : line) ASSERT_TRUE(peer.send_bytes(std::string_view(&byte, 1)));
  EXPECT_EQ(peer.answer()["results"][0]["description"], "Picture 4");
  EXPECT_EQ(peer.answer()["id"], "é\n");
}

TEST_F(ServerTest, TenThousandRequestsOnOneConnection) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const std::string path = bridge.picture(1);
  int sent = 0;
  int done = 0;
  while (done < 10'000) {
    for (; sent < 10'000 && sent < done + 500; ++sent) {
      const bool frame = sent % 10 == 0;
      json request = {{"id", sent}, {"method", frame ? "describe_images" : "ping"}};
      if (frame) request["params"]["images"] = json::array({{{"imagePath", path}, {"timestamp", 1}}});
      ASSERT_TRUE(peer.send(request));
    }
    const json answer = peer.answer();
    ASSERT_FALSE(answer.contains("error")) << answer;
    if (answer.value("done", false)) ++done;
  }
  expect_healthy();
}

TEST_F(ServerTest, ALineOfNineMebibytesIsAnsweredAndTheConnectionClosed) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  std::thread sender([&] { peer.send_bytes(std::string(9U << 20, 'x') + "\n" + kPing.dump() + "\n"); });
  const json answer = peer.answer();
  EXPECT_EQ(answer["id"], nullptr);
  EXPECT_EQ(answer["code"], "too_large");
  EXPECT_EQ(answer["done"], true);
  EXPECT_TRUE(peer.closed());
  sender.join();
  expect_healthy();
}

TEST_F(ServerTest, WhatIsNoRequestIsAnsweredAndTheConnectionGoesOn) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const std::string deep = R"({"id":5,"method":"ping","x":)" + std::string(200, '[') + std::string(200, ']') + "}";
  const std::string path_bytes =
      "{\"id\":6,\"method\":\"describe_images\",\"params\":{\"images\":[{\"imagePath\":\"/a\xFF\"}]}}";
  for (const std::string& line :
       {std::string("not JSON"), std::string("[]"), std::string("\xC3\x28"), std::string("{}"), std::string("\0\0", 2),
        deep, path_bytes, std::string(R"({"id":1,"method":"none"})")}) {
    ASSERT_TRUE(peer.send_bytes(line + "\n"));
    const json answer = peer.answer();
    EXPECT_TRUE(answer.contains("error")) << line;
    EXPECT_TRUE(answer.contains("code")) << line;
    EXPECT_EQ(answer["done"], true) << line;
  }
  EXPECT_EQ(peer.answers(kPing).size(), 1u);
}

TEST_F(ServerTest, IdsComeBackAsTheyWere) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  for (const char* id : {"null", "0", "-7", "1.5", "123456789012345678901234567890", "1e400", "\"\"", "\"a\\u00e9\""}) {
    ASSERT_TRUE(peer.send_bytes(std::string(R"({"method":"ping","id":)") + id + "}\n"));
    EXPECT_THAT(peer.line(), ::testing::StartsWith(std::string(R"({"id":)") + id + ",")) << id;
  }
  // The same id twice at once: two answers.
  peer.send(bridge.describe(1, {1}));
  peer.send(bridge.describe(1, {1}));
  int done = 0;
  while (done < 2) done += peer.answer().value("done", false) ? 1 : 0;
}

TEST_F(ServerTest, BatchSizesThatMakeNoSenseAreRefusedByName) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  for (const json& size : {json(0), json(-1), json("x"), json(1e9), json(1.5), json(true)}) {
    const json answer = peer.answers(bridge.describe(1, {1}, {{"batchSize", size}})).at(0);
    EXPECT_EQ(answer["code"], "invalid_argument") << size;
    EXPECT_THAT(answer["error"].get<std::string>(), HasSubstr("batchSize")) << size;
  }
}

TEST_F(ServerTest, AFramePathMayHoldALineBreak) {
  bridge.start();
  const std::filesystem::path path = bridge.folder() / "a\nb.png";
  std::filesystem::copy(bridge.picture(3), path);
  json request = bridge.describe(1, {3});
  request["params"]["images"][0]["imagePath"] = path.native();
  BridgePeer peer = bridge.connect();
  const std::vector<json> answers = peer.answers(request);
  EXPECT_EQ(answers[0]["results"][0]["imagePath"], path.native());
  EXPECT_EQ(answers[0]["results"][0]["description"], "Picture 3");
}

TEST_F(ServerTest, ConversationsAreAnsweredWithTextAndFigures) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const json message = {{"role", "user"}, {"content", "Hello"}};
  const json answer =
      peer.answers({{"id", 1}, {"method", "text_infer"}, {"params", {{"messages", {message}}, {"maxTokens", 200}}}})
          .at(0);
  EXPECT_THAT(answer["text"].get<std::string>(), HasSubstr("Hello"));
  const json stats = answer["stats"];
  EXPECT_GT(stats["prompt_tokens"], 0);
  EXPECT_EQ(stats["total_tokens"], stats["prompt_tokens"].get<int>() + stats["generation_tokens"].get<int>());
  for (const char* key : {"prompt_tps", "generation_tps", "peak_memory_gb", "generate_time_s"}) {
    EXPECT_TRUE(stats[key].is_number()) << key;
  }
  const json picture = {{"role", "user"},
                        {"content",
                         {{{"type", "text"}, {"text", "Frame 1:"}},
                          {{"type", "image"}, {"imagePath", bridge.picture(5)}},
                          {{"type", "text"}, {"text", "?"}}}}};
  const json seen = peer.answers({{"id", 2}, {"method", "vlm_infer"}, {"params", {{"messages", {picture}}}}}).at(0);
  EXPECT_THAT(seen["text"].get<std::string>(), HasSubstr("Picture 5"));
}

TEST_F(ServerTest, PromptFitSaysWhatTheContextHolds) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const json message = {{"role", "user"}, {"content", "0123456789"}};
  const json fit =
      peer.answers(
              {{"id", 1}, {"method", "text_prompt_fit"}, {"params", {{"messages", {message}}, {"maxTokens", 100}}}})
          .at(0);
  EXPECT_EQ(fit["context_limit"], 4096);
  EXPECT_EQ(fit["reserved_tokens"], 2048);
  EXPECT_EQ(fit["requested_output_tokens"], 100);
  EXPECT_EQ(fit["safe_input_budget"], 4096 - 100 - 2048);
  EXPECT_EQ(fit["fits"], true);
  EXPECT_GE(fit["prompt_tokens"], 10);
}

TEST_F(ServerTest, AMethodOfTheOtherModeNamesTheMode) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  const json answer = peer.answers({{"id", 1}, {"method", "load_llm"}, {"params", {{"model", "x"}}}}).at(0);
  EXPECT_THAT(answer["error"].get<std::string>(), HasSubstr("llm mode"));
}

TEST_F(ServerTest, UnloadingGivesTheModelBackAndTheNextRequestLoadsItAgain) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  EXPECT_EQ(peer.answers({{"id", 1}, {"method", "unload_vlm"}}).at(0)["status"], "unloaded");
  EXPECT_EQ(bridge.status()["loaded"], false);
  EXPECT_EQ(peer.answers({{"id", 2}, {"method", "unload_vlm"}}).at(0)["status"], "unloaded");
  EXPECT_THAT(descriptions(peer.answers(bridge.describe(3, {1}))), ElementsAre("Picture 1"));
  EXPECT_EQ(bridge.loads, 1);
  EXPECT_EQ(bridge.status()["frames"]["done"], 1);
}

TEST_F(ServerTest, AnIdleModelIsUnloadedAndItsFiguresAreKept) {
  bridge.options.dispatcher.idle_unload = milliseconds(30);
  bridge.start();
  BridgePeer peer = bridge.connect();
  peer.answers(bridge.describe(3, {1, 2}));
  ASSERT_TRUE(eventually([&] { return bridge.status()["loaded"] == false; }));
  EXPECT_EQ(bridge.status()["frames"]["done"], 2);
  EXPECT_THAT(descriptions(peer.answers(bridge.describe(3, {4}))), ElementsAre("Picture 4"));
}

TEST_F(ServerTest, AModelThatCannotBeLoadedFailsTheRequestsThatWaitForItAndIsTriedAgain) {
  bridge.load_error = Error{Errc::model_invalid, "x.gguf cannot be loaded"};
  bridge.start(false);
  BridgePeer peer = bridge.connect();
  const json answer = peer.answers(bridge.describe(1, {1})).at(0);
  EXPECT_EQ(answer["code"], "model_invalid");
  EXPECT_EQ(answer["error"], "x.gguf cannot be loaded");
  bridge.load_error.reset();
  EXPECT_THAT(descriptions(peer.answers(bridge.describe(2, {1}))), ElementsAre("Picture 1"));
}

TEST_F(ServerTest, InLlmModeTheModelLoadsOnFirstUseAndCanBeChanged) {
  bridge.options.dispatcher.mode = protocol::Mode::llm;
  bridge.start(false);
  BridgePeer peer = bridge.connect();
  EXPECT_EQ(bridge.status()["loaded"], false);
  const json infer = {{"id", 2}, {"method", "llm_infer"}, {"params", {{"rawPrompt", "Sum up"}, {"maxTokens", 100}}}};
  EXPECT_THAT(peer.answers(infer).at(0)["text"].get<std::string>(), HasSubstr("Sum up"));
  EXPECT_EQ(peer.answers({{"id", 3}, {"method", "load_llm"}, {"params", {{"model", "other"}}}}).at(0),
            json({{"id", 3}, {"status", "loaded"}, {"done", true}}));
  EXPECT_EQ(bridge.status()["model"], "other");
  EXPECT_EQ(bridge.loads, 2);
  EXPECT_EQ(peer.answers({{"id", 4}, {"method", "load_llm"}, {"params", {{"model", "other"}}}}).at(0)["status"],
            "loaded");
  EXPECT_EQ(bridge.loads, 2);
  EXPECT_EQ(peer.answers({{"id", 5}, {"method", "unload_llm"}}).at(0)["status"], "unloaded");
  EXPECT_EQ(peer.answers(bridge.describe(6, {1})).at(0)["code"], "unsupported");
}

TEST_F(ServerTest, ShutdownAnswersWhatRunsRemovesTheSocketAndEnds) {
  bridge.start();
  BridgePeer peer = bridge.connect();
  bridge.hold("decode");
  peer.send(bridge.describe(1, {1}));
  ASSERT_TRUE(eventually([&] { return bridge.is_held(); }));
  peer.send(json{{"id", 2}, {"method", "shutdown"}});
  EXPECT_EQ(peer.answer(), json({{"id", 2}, {"status", "shutting_down"}, {"done", true}}));
  bridge.release();
  json last;
  do {
    last = peer.answer();
  } while (!last.value("done", false));
  EXPECT_TRUE(peer.closed());
  bridge.loop().join();
  EXPECT_FALSE(std::filesystem::exists(bridge.socket()));
}

TEST_F(ServerTest, ShutdownIfUnusedLeavesABridgeThatOthersUse) {
  bridge.start();
  BridgePeer first = bridge.connect();
  const json shutdown = {{"id", 1}, {"method", "shutdown"}, {"params", {{"ifUnused", true}}}};
  {
    const BridgePeer second = bridge.connect();
    EXPECT_EQ(first.answers(shutdown).at(0)["status"], "in_use");
  }
  EXPECT_TRUE(eventually([&] { return bridge.status()["clients"] == 2; }));  // `first` and the one that asks
  EXPECT_TRUE(eventually([&] { return first.answers(shutdown).at(0)["status"] == "shutting_down"; }));
  bridge.loop().join();
}

TEST_F(ServerTest, EndsWhenItsLifelineDoesAndTheLastClientIsGone) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  const FileDescriptor read_end(fds[0]);
  FileDescriptor write_end(fds[1]);
  bridge.options.lifeline_fd = read_end.get();
  bridge.start();
  {
    BridgePeer peer = bridge.connect();
    write_end.reset();
    EXPECT_THAT(descriptions(peer.answers(bridge.describe(1, {1}))), ElementsAre("Picture 1"));
  }
  bridge.loop().join();
  EXPECT_FALSE(std::filesystem::exists(bridge.socket()));
}

TEST_F(ServerTest, EndsAfterATimeWithoutClients) {
  bridge.options.idle_exit = milliseconds(30);
  bridge.start();
  bridge.loop().join();
  EXPECT_FALSE(std::filesystem::exists(bridge.socket()));
}

TEST_F(ServerTest, TheSocketIsForTheUserAlone) {
  bridge.start();
  struct stat info = {};
  ASSERT_EQ(::stat(bridge.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ServerTest, ManyClientsComeAndGoWithoutATrace) {
  bridge.start();
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  bridge.connect().answers(kPing);
  ASSERT_TRUE(eventually([&] { return bridge.status()["clients"] == 1; }));
  const auto before = descriptors();
  for (int i = 0; i < 300; ++i) {
    BridgePeer peer = bridge.connect();
    if (i % 3 == 0) peer.send(bridge.describe(i, {i % 200}));
    if (i % 3 == 1) peer.answers(kPing);
  }
  EXPECT_TRUE(eventually([&] { return bridge.status()["clients"] == 1; }));
  EXPECT_TRUE(eventually([&] { return descriptors() <= before; })) << descriptors() << " instead of " << before;
  expect_healthy();
}

TEST_F(ServerTest, AFullHouseTurnsNewcomersAwayWithAReason) {
  bridge.options.max_clients = 2;
  bridge.start();
  BridgePeer first = bridge.connect();
  BridgePeer second = bridge.connect();
  first.answers(kPing);
  second.answers(kPing);
  BridgePeer third = bridge.connect();
  EXPECT_EQ(third.answer()["code"], "overloaded");
  EXPECT_TRUE(third.closed());
  EXPECT_EQ(first.answers(kPing).size(), 1u);
}

}  // namespace
}  // namespace escribano::bridge
