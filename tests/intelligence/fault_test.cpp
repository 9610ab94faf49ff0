// What the adapters make of servers that fail, both wire forms: fixtures/model_server.py says what each fault is.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <nlohmann/json.hpp>

#include "http/http.h"
#include "intelligence/ollama_service.h"
#include "intelligence/openai_service.h"
#include "support/server_process.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr seconds kPatience{60};

enum class Wire { ollama, openai };

class Fault : public ::testing::TestWithParam<Wire> {
 protected:
  void SetUp() override {
    for (int i = 0; i < 4; ++i) {
      frames_.push_back({folder_.path() / ("frame-" + std::to_string(i) + ".png"), static_cast<double>(i)});
      std::ofstream(frames_.back().path, std::ios::binary) << "\x89PNG\r\n\x1A\npicture " << i;
    }
    server_options_.url = server_.url();
    server_options_.parallel = 2;
    server_options_.retry.delay = [this](int retry) {
      retries_.push_back(retry);
      return milliseconds(0);
    };
  }

  std::unique_ptr<IntelligenceService> service(const std::string& model) const {
    ServerOptions server = server_options_;
    server.model = model;
    if (GetParam() == Wire::openai) return make_openai_service({.server = server, .api_key = "sesame"}).value();
    return make_ollama_service({.server = server}).value();
  }
  DescribeOutcome describe(const std::string& model, const DescribeOptions& options = {}) const {
    return service(model)->describe_images(frames_, options, {});
  }
  Json log() const {
    HttpSession http = HttpSession::open({}).value();
    EXPECT_TRUE(http.start(0, {.url = server_.url() + "/log"}));
    return Json::parse(http.next({}, Clock::now() + kPatience).value()->outcome.body);
  }
  // Every frame has failed alone, with this code and something of this in its message.
  static void expect_all_failed(const DescribeOutcome& outcome, Errc code, const std::string& part) {
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    ASSERT_THAT(outcome.results, SizeIs(4));
    for (const FrameResult& result : outcome.results) {
      ASSERT_TRUE(result.error);
      EXPECT_EQ(result.error->code, code);
      EXPECT_THAT(result.error->message, HasSubstr(part));
      EXPECT_THAT(result.error->message, HasSubstr("http://127.0.0.1"));
      EXPECT_EQ(result.stats.attempts, 0);
    }
  }
  static void expect_ended(const DescribeOutcome& outcome, const std::string& part) {
    ASSERT_FALSE(outcome.status);
    EXPECT_EQ(outcome.status.error().code, Errc::backend_error);
    EXPECT_THAT(outcome.status.error().message, HasSubstr(part));
    EXPECT_THAT(outcome.results, SizeIs(0));
  }

  TempFolder folder_;
  std::vector<Frame> frames_;
  ServerProcess server_{{"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/model_server.py"},
                        "listening on "};
  ServerOptions server_options_;
  mutable std::vector<int> retries_;
};

TEST_P(Fault, WhatIsAskedIsWhatWasSet) {
  DescribeOptions options;
  options.temperature = 0.5F;
  ASSERT_TRUE(describe("good", options).status);
  const Json all = log();
  const Json& first = all.at("requests").at(0);
  const Json& body = first.at("body");
  EXPECT_EQ(body.at("stream"), true);
  if (GetParam() == Wire::ollama) {
    EXPECT_EQ(first.at("path"), "/api/chat");
    EXPECT_EQ(body.at("think"), false);
    EXPECT_EQ(body.at("options"), Json({{"num_ctx", 4096}, {"num_predict", 500}, {"temperature", 0.5}}));
    EXPECT_EQ(body.at("truncate"), false);
    EXPECT_FALSE(body.contains("keep_alive"));
    EXPECT_TRUE(first.at("authorization").is_null());
  } else {
    EXPECT_EQ(first.at("path"), "/v1/chat/completions");
    EXPECT_EQ(first.at("authorization"), "Bearer sesame");
    EXPECT_EQ(body.at("max_tokens"), 500);
    EXPECT_EQ(body.at("temperature"), 0.5);
    EXPECT_EQ(body.at("chat_template_kwargs"), Json({{"enable_thinking", false}}));
  }
}

TEST_P(Fault, TheAddressMayNameTheInterface) {
  server_options_.url += GetParam() == Wire::ollama ? "/api/" : "/v1/";
  EXPECT_TRUE(describe("good").status);
}

TEST_P(Fault, AsManyRequestsRunAtOnceAsAllowed) {
  for (int i = 0; i < 3; ++i) frames_.insert(frames_.end(), frames_.begin(), frames_.begin() + 4);
  server_options_.parallel = 3;
  ASSERT_TRUE(describe("slow").status);
  EXPECT_EQ(log().at("most_at_once"), 3);
}

TEST_P(Fault, AFrameThatIsReadySoonerWaitsForThoseBeforeIt) {
  server_options_.parallel = 4;
  std::vector<std::uint64_t> order;
  const DescribeOutcome outcome = service("uneven")->describe_images(
      frames_, {}, [&](const FrameResult& result, const Progress&) { order.push_back(result.index); });
  ASSERT_TRUE(outcome.status);
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST_P(Fault, TokensAndTimesOfTheServerAreKept) {
  const DescribeOutcome outcome = describe("good");
  ASSERT_TRUE(outcome.status);
  EXPECT_EQ(outcome.results[0].stats.prompt_tokens, 100);
  EXPECT_GT(outcome.results[0].stats.generation_tokens, 10);
  if (GetParam() == Wire::ollama) {
    EXPECT_EQ(outcome.results[0].stats.prefill_ms, 5);
    EXPECT_EQ(outcome.results[0].stats.decode_ms, 7);
  }
}

TEST_P(Fault, ThoughtsAreNoPartOfAnAnswer) {
  const DescribeOutcome outcome = describe("think");
  ASSERT_TRUE(outcome.status);
  for (const FrameResult& result : outcome.results) EXPECT_THAT(result.description, StartsWith("Picture "));
  EXPECT_THAT(service("think")->generate_text("Hello", {}).value().text, StartsWith("Summary "));
}

TEST_P(Fault, ACutAnswerIsReportedAndKept) {
  const DescribeOutcome outcome = describe("length");
  ASSERT_TRUE(outcome.status);
  for (const FrameResult& result : outcome.results) {
    EXPECT_EQ(result.status(), FrameStatus::unparsed);
    EXPECT_THAT(result.raw_response.value(), StartsWith("description: Picture"));
    EXPECT_EQ(result.stats.finish_reason, "length");
  }
  const GeneratedText text = service("length")->generate_text("Hello", {}).value();
  EXPECT_TRUE(text.truncated);
  EXPECT_THAT(text.text, StartsWith("Summary"));
}

TEST_P(Fault, AnAnswerOutsideTheFormIsKept) {
  const DescribeOutcome outcome = describe("babble");
  ASSERT_TRUE(outcome.status);
  for (const FrameResult& result : outcome.results) {
    EXPECT_EQ(result.raw_response, "I see a screen with many things on it.");
  }
}

TEST_P(Fault, AnAnswerInOnePieceIsRead) {
  const DescribeOutcome outcome = describe("whole");
  ASSERT_TRUE(outcome.status);
  for (const FrameResult& result : outcome.results) EXPECT_EQ(result.status(), FrameStatus::described);
}

TEST_P(Fault, AServerThatKnowsLessIsAskedForLess) {
  server_options_.parallel = 1;
  const auto picky = service("picky");
  for (int call = 0; call < 2; ++call) {
    const DescribeOutcome outcome = picky->describe_images(frames_, {}, {});
    ASSERT_TRUE(outcome.status);
    for (const FrameResult& result : outcome.results) EXPECT_EQ(result.status(), FrameStatus::described);
  }
  EXPECT_THAT(log().at("requests"), SizeIs(2 * frames_.size() + 1)) << "refused more than once";
}

TEST_P(Fault, OneFrameTheServerFailsForTakesNoOtherAlong) {
  std::ofstream(frames_[2].path, std::ios::binary | std::ios::app) << " poison";
  const DescribeOutcome outcome = describe("poison");
  ASSERT_TRUE(outcome.status);
  ASSERT_THAT(outcome.results, SizeIs(4));
  EXPECT_EQ(outcome.results[2].error->code, Errc::backend_error);
  EXPECT_THAT(outcome.results[2].error->message, HasSubstr("HTTP 500: the picture made the model unwell"));
  for (const std::size_t i : {0, 1, 3}) EXPECT_EQ(outcome.results[i].status(), FrameStatus::described);
}

TEST_P(Fault, ARefusalIsNotAskedForAgain) {
  expect_all_failed(describe("busy"), Errc::backend_error, "HTTP 500: something broke");
  EXPECT_THAT(log().at("requests"), SizeIs(4));
  EXPECT_THAT(retries_, ElementsAre());
}

TEST_P(Fault, AContextThatIsTooSmallHasItsOwnCode) {
  expect_all_failed(describe("full"), Errc::context_full, "HTTP 400");
  EXPECT_THAT(log().at("requests"), SizeIs(4));
  EXPECT_EQ(service("full")->generate_text("Hello", {}).error().code, Errc::context_full);
}

TEST_P(Fault, AMissingModelEndsTheCallAtOnce) {
  expect_ended(describe("gone"), GetParam() == Wire::ollama ? "ollama pull gone" : "model 'gone' not found");
  EXPECT_LE(log().at("requests").size(), 2U);
}

TEST_P(Fault, AKeyIsNeverShown) {
  const DescribeOutcome outcome = describe("locked");
  expect_ended(outcome, "HTTP 401");
  EXPECT_THAT(outcome.status.error().message, Not(HasSubstr("sesame")));
}

TEST_P(Fault, RedirectsAreNotFollowed) { expect_all_failed(describe("elsewhere"), Errc::backend_error, "HTTP 307"); }

TEST_P(Fault, WhatIsNoAnswerIsAnErrorOfTheFrame) {
  expect_all_failed(describe("garbage"), Errc::protocol_error, "the answer is");
  expect_all_failed(describe("html"), Errc::protocol_error, "the answer is");
  expect_all_failed(describe("unended"), Errc::protocol_error, "ended before it was complete");
  expect_all_failed(describe("sorry"), Errc::backend_error, "the runner has died");
  EXPECT_THAT(retries_, ElementsAre());
}

TEST_P(Fault, AConnectionThatClosesMidwayIsAnErrorOfTheFrame) {
  expect_all_failed(describe("midway"), Errc::backend_error, "/");
  EXPECT_THAT(retries_, ElementsAre());
}

TEST_P(Fault, AnAnswerWithoutEndIsCutOff) {
  server_options_.http.max_response_bytes = 1 << 20;
  expect_all_failed(describe("huge"), Errc::backend_error, "larger than");
}

TEST_P(Fault, ALostRequestIsSentAgain) {
  server_options_.parallel = 1;
  const DescribeOutcome outcome = describe("shaky");
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  for (const FrameResult& result : outcome.results) EXPECT_EQ(result.status(), FrameStatus::described);
  EXPECT_THAT(retries_, ElementsAre(1, 2));
}

TEST_P(Fault, AServerThatNeverAnswersEndsTheCall) {
  server_options_.parallel = 1;
  expect_ended(describe("reset"), "/");
  EXPECT_THAT(retries_, ElementsAre(1, 2, 3));
  retries_.clear();
  server_options_.http.stall_timeout = milliseconds(50);
  expect_ended(describe("silent"), "nothing was heard");
  EXPECT_THAT(retries_, ElementsAre(1, 2, 3));
}

TEST_P(Fault, ABackOffEndsWithTheDeadlineOrAStop) {
  const ClosedPort closed;
  server_options_.url = closed.url();
  server_options_.retry.delay = [](int) { return std::chrono::hours(1); };
  DescribeOptions options;
  options.deadline = milliseconds(50);
  EXPECT_EQ(describe("good", options).status.error().code, Errc::deadline_exceeded);
  std::stop_source stop;
  options.deadline = kPatience;
  options.stop = stop.get_token();
  server_options_.retry.delay = [&](int) {
    stop.request_stop();
    return std::chrono::hours(1);
  };
  EXPECT_EQ(describe("good", options).status.error().code, Errc::cancelled);
}

TEST_P(Fault, AStalledAnswerEndsWithTheDeadline) {
  DescribeOptions options;
  options.deadline = milliseconds(200);
  for (const char* model : {"stall", "silent"}) {
    const auto began = Clock::now();
    const DescribeOutcome outcome = describe(model, options);
    ASSERT_FALSE(outcome.status);
    EXPECT_EQ(outcome.status.error().code, Errc::deadline_exceeded);
    EXPECT_LT(Clock::now() - began, seconds(10));
  }
  GenerateOptions generate;
  generate.deadline = milliseconds(50);
  EXPECT_EQ(service("stall")->generate_text("Hello", generate).error().code, Errc::deadline_exceeded);
}

TEST_P(Fault, AStalledAnswerIsAnErrorOfTheFrame) {
  server_options_.http.stall_timeout = milliseconds(100);
  expect_all_failed(describe("stall"), Errc::backend_error, "nothing was heard");
}

TEST_P(Fault, NothingStaysOpenAndNobodyStaysBehind) {
  ASSERT_TRUE(describe("good").status);
  const int before = open_descriptors();
  server_options_.http.max_response_bytes = 1 << 20;
  DescribeOptions options;
  options.deadline = milliseconds(300);
  for (const char* model : {"good", "busy", "garbage", "midway", "reset", "stall", "silent", "huge"}) {
    describe(model, options);
  }
  EXPECT_EQ(open_descriptors(), before);
  server_.kill();
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
}

INSTANTIATE_TEST_SUITE_P(Wires, Fault, ::testing::Values(Wire::ollama, Wire::openai),
                         [](const auto& wire) { return wire.param == Wire::ollama ? "Ollama" : "OpenAi"; });

}  // namespace
}  // namespace escribano
