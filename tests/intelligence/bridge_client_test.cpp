// What a bridge is asked and what is made of its answers. bridge_lifecycle_test.cpp has how bridges begin and end.
#include "intelligence/bridge_client.h"

#include <chrono>
#include <limits>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intelligence/bridge_fixture.h"
#include "intelligence/frame_delivery.h"

namespace escribano {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class BridgeClientTest : public BridgeTest {};

TEST_F(BridgeClientTest, DescribesByTheFirstGeneration) {
  const auto service = client(1);
  const auto images = frames(10);
  std::vector<FrameResult> handed;
  const auto caller = std::this_thread::get_id();
  const auto outcome =
      service->describe_images(images, patient(), [&](const FrameResult& result, const Progress& progress) {
        handed.push_back(result);
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(progress.current, handed.size());
        EXPECT_EQ(progress.total, 10u);
      });
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 1);
  EXPECT_EQ(handed, outcome.results);
  EXPECT_THAT(requests(), ElementsAre("describe_images"));
}

TEST_F(BridgeClientTest, DescribesByTheSecondGenerationAndRemembersIt) {
  const auto service = client(2);
  const auto images = frames(3);
  for (int call = 0; call < 2; ++call) {
    const auto outcome = service->describe_images(images, patient(), {});
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    expect_described(outcome.results, images, 2);
    EXPECT_GT(outcome.results[0].stats.generation_tokens, 0);
  }
  EXPECT_THAT(requests(), ElementsAre("describe_images", "vlm_infer", "vlm_infer", "vlm_infer", "vlm_infer",
                                      "vlm_infer", "vlm_infer"));
}

TEST_F(BridgeClientTest, InterleavedFramesAreOneQuestionForEachBatch) {
  const auto service = client(2);
  auto options = patient();
  options.strategy = DescribeStrategy::interleaved;
  options.batch_size = 3;
  const auto images = frames(7);
  const auto outcome = service->describe_images(images, options, {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 2);
  EXPECT_THAT(requests(), ElementsAre("describe_images", "vlm_infer", "vlm_infer", "vlm_infer"));
}

TEST_F(BridgeClientTest, WhatIsNoPictureFailsAlone) {
  for (const int generation : {1, 2}) {
    const auto service = client(generation);
    for (const auto strategy : {DescribeStrategy::parallel, DescribeStrategy::interleaved}) {
      auto images = frames(5);
      std::filesystem::remove(images[1].path);
      auto options = patient();
      options.strategy = strategy;
      options.batch_size = 4;
      const auto outcome = service->describe_images(images, options, {});
      ASSERT_TRUE(outcome.status) << outcome.status.error().message;
      ASSERT_EQ(outcome.results.size(), 5u);
      ASSERT_TRUE(outcome.results[1].error);
      EXPECT_THAT(outcome.results[1].error->message, HasSubstr(images[1].path.native()));
      for (const std::size_t other : {0u, 2u, 3u, 4u}) {
        EXPECT_EQ(outcome.results[other].description, expected_text(images[other], generation)) << generation;
        EXPECT_EQ(outcome.results[other].index, other);
      }
    }
  }
}

TEST_F(BridgeClientTest, AnAnswerOfAnotherFormIsKept) {
  const auto service = client(2);
  auto options = patient();
  options.prompt = "no description";
  const auto outcome = service->describe_images(frames(1), options, {});
  ASSERT_TRUE(outcome.status);
  EXPECT_EQ(outcome.results.at(0).raw_response, "There is nothing to see.");
  EXPECT_EQ(outcome.results.at(0).activity, "unknown");
}

TEST_F(BridgeClientTest, FramesThatCannotCrossTheWireFailAloneInTheirPlaces) {
  const auto service = client(1);
  auto images = frames(4);
  images.insert(images.begin(), {"/tmp/\xFF\xFE.png", 1});
  images.insert(images.begin() + 3, {images[1].path, std::numeric_limits<double>::quiet_NaN()});
  images.push_back({std::string(5000, 'x'), 2});
  std::vector<std::uint64_t> order;
  const auto outcome = service->describe_images(
      images, patient(), [&](const FrameResult& result, const Progress&) { order.push_back(result.index); });
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4, 5, 6));
  for (const std::size_t failed : {0u, 3u, 6u}) {
    ASSERT_TRUE(outcome.results[failed].error) << failed;
    EXPECT_EQ(outcome.results[failed].error->code, Errc::invalid_argument);
  }
  for (const std::size_t fine : {1u, 2u, 4u, 5u})
    EXPECT_EQ(outcome.results[fine].description, expected_text(images[fine], 1)) << fine;
}

TEST_F(BridgeClientTest, WithoutAFrameToSendNoBridgeIsNeeded) {
  const auto service = client(1);
  const auto outcome = service->describe_images(std::vector<Frame>{{"\xFF.png", 0}}, patient(), {});
  EXPECT_TRUE(outcome.status);
  EXPECT_EQ(outcome.results.size(), 1u);
  EXPECT_EQ(starts(), 0u);
}

TEST_F(BridgeClientTest, RelativePathsAreThoseOfThisProcess) {
  const auto images = frames(1);
  const auto before = std::filesystem::current_path();
  const auto service = client(1);
  ASSERT_TRUE(service->describe_images(images, patient(), {}).status);  // the bridge runs here
  std::filesystem::current_path(images[0].path.parent_path());
  const auto outcome = service->describe_images(std::vector<Frame>{{images[0].path.filename(), 0}}, patient(), {});
  std::filesystem::current_path(before);
  ASSERT_TRUE(outcome.status);
  EXPECT_EQ(outcome.results.at(0).description, expected_text(images[0], 1));
  EXPECT_EQ(outcome.results.at(0).image_path, images[0].path.filename());
}

TEST_F(BridgeClientTest, ManyFramesBecomeSeveralRequests) {
  const auto service = client(1);
  const Frame frame = frames(1)[0];
  const std::vector<Frame> images(4500, frame);
  const auto outcome = service->describe_images(images, patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 1);
  EXPECT_THAT(requests(), ElementsAre("describe_images", "describe_images", "describe_images"));
}

TEST(SplitIntoRequests, FitsTheLineAndKeepsBatchesWhole) {
  const auto sent = [](std::size_t count, std::size_t path_bytes) {
    return std::vector<SentFrame>(count, SentFrame{0, {std::string(path_bytes, 'x'), 0}});
  };
  EXPECT_THAT(split_into_requests(sent(0, 10), 4), ElementsAre());
  EXPECT_THAT(split_into_requests(sent(2000, 10), 4), ElementsAre(FrameRange{0, 2000}));
  EXPECT_THAT(split_into_requests(sent(2001, 10), 7), ElementsAre(FrameRange{0, 1995}, FrameRange{1995, 6}));
  std::size_t next = 0;
  for (const FrameRange range : split_into_requests(sent(1000, 4096), 255)) {
    EXPECT_EQ(range.begin, next);
    EXPECT_GT(range.count, 0u);
    EXPECT_LE(range.count * 4096 * 6, 4u << 20);
    next += range.count;
  }
  EXPECT_EQ(next, 1000u);
}

TEST_F(BridgeClientTest, CallsThatCannotBeMadeStartNothing) {
  const auto service = client(1);
  EXPECT_EQ(service->describe_images({}, patient(), {}).status.error().code, Errc::invalid_argument);
  auto options = patient();
  options.batch_size = 0;
  EXPECT_EQ(service->describe_images(frames(1), options, {}).status.error().code, Errc::invalid_argument);
  EXPECT_EQ(service->generate_text("x", {.max_tokens = 0}).error().code, Errc::invalid_argument);
  std::stop_source stop;
  stop.request_stop();
  options = patient();
  options.stop = stop.get_token();
  EXPECT_EQ(service->describe_images(frames(1), options, {}).status.error().code, Errc::cancelled);
  EXPECT_EQ(starts(), 0u);
}

TEST_F(BridgeClientTest, GeneratesTextWithoutThoughts) {
  const auto service = client(2);
  const auto text = service->generate_text("Was war?", {.deadline = kPatience});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(text->text, "vlm: ein Text über 8 Zeichen — 画面 🖥");
  EXPECT_EQ(text->prompt_tokens, 3);
  EXPECT_FALSE(text->truncated);
  const auto cut = service->generate_text("Was war?", {.max_tokens = 2, .deadline = kPatience});
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->text, "vlm: ein");
  EXPECT_TRUE(cut->truncated);
  EXPECT_THAT(requests(), Each("text_infer"));
}

TEST_F(BridgeClientTest, AnLlmIsLoadedOnce) {
  auto bridge = options(2);
  bridge.command.back() = "llm";
  bridge.mode = protocol::Mode::llm;
  bridge.llm_model = "writer";
  const auto service = make_bridge_client(bridge);
  for (int call = 0; call < 2; ++call) {
    const auto text = service->generate_text("Was?", {.deadline = kPatience});
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_THAT(text->text, HasSubstr("writer: ein Text"));
  }
  EXPECT_THAT(requests(), ElementsAre("load_llm", "llm_infer", "llm_infer"));
  EXPECT_EQ(service->describe_images(frames(1), patient(), {}).status.error().code, Errc::unsupported);
}

TEST_F(BridgeClientTest, TheFirstGenerationGeneratesNoText) {
  const auto service = client(1);
  const auto text = service->generate_text("x", {.deadline = kPatience});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::unsupported);
  EXPECT_THAT(text.error().message, HasSubstr("generates no text"));
}

TEST_F(BridgeClientTest, APromptLongerThanALineIsRefusedHere) {
  const auto service = client(2);
  const auto text = service->generate_text(std::string(9 << 20, 'x'), {.deadline = kPatience});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::too_large);
}

TEST_F(BridgeClientTest, AnAnswerOfTheWrongKindIsAProtocolError) {
  const auto service = client(2, "number-for-text");
  EXPECT_EQ(service->generate_text("x", {.deadline = kPatience}).error().code, Errc::protocol_error);
  EXPECT_EQ(service->describe_images(frames(1), patient(), {}).status.error().code, Errc::protocol_error);
}

// What bridges may do, and what none may.
struct Spoilt {
  const char* fault;
  Errc code;
  std::size_t delivered;  // of 8 frames in batches of 4
};
class SpoiltAnswer : public BridgeTest, public testing::WithParamInterface<Spoilt> {};

TEST_P(SpoiltAnswer, EndsTheCallAfterWhatWasFine) {
  const auto service = client(1, GetParam().fault);
  const auto images = frames(8);
  const auto outcome = service->describe_images(images, patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, GetParam().code) << outcome.status.error().message;
  ASSERT_EQ(outcome.results.size(), GetParam().delivered);
  for (std::size_t i = 0; i < outcome.results.size(); ++i) {
    EXPECT_EQ(outcome.results[i].description, expected_text(images[i], 1));
    EXPECT_EQ(outcome.results[i].index, i);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, SpoiltAnswer,
    testing::Values(Spoilt{"duplicate", Errc::protocol_error, 1}, Spoilt{"missing", Errc::protocol_error, 3},
                    Spoilt{"extra", Errc::protocol_error, 4}, Spoilt{"swapped", Errc::protocol_error, 0},
                    Spoilt{"wrong-index", Errc::protocol_error, 0}, Spoilt{"wrong-path", Errc::protocol_error, 0},
                    Spoilt{"wrong-id", Errc::protocol_error, 0}, Spoilt{"garbage-after=1", Errc::protocol_error, 4},
                    Spoilt{"endless-line-after=1", Errc::protocol_error, 4}, Spoilt{"no-done", Errc::bridge_died, 8},
                    Spoilt{"close-after=1", Errc::bridge_died, 4}, Spoilt{"die-after=1", Errc::bridge_died, 4},
                    Spoilt{"die-after=0", Errc::bridge_died, 0}),
    [](const auto& test) {
      std::string name = test.param.fault;
      std::erase_if(name, [](char c) { return c == '-' || c == '='; });
      return name;
    });

class OddAnswer : public BridgeTest, public testing::WithParamInterface<const char*> {};

TEST_P(OddAnswer, IsUnderstood) {
  const auto service = client(1, GetParam());
  const auto images = frames(9);
  const auto outcome = service->describe_images(images, patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  expect_described(outcome.results, images, 1);
}

INSTANTIATE_TEST_SUITE_P(Habits, OddAnswer,
                         testing::Values("no-index", "index-per-batch", "ready-in-two-pieces", "noise", "flood"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST_F(BridgeClientTest, AResultIsOneOfThreeThingsAlsoWhereABridgeMixesThem) {
  const auto service = client(1, "mixed");
  const auto outcome = service->describe_images(frames(1), patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  const FrameResult& result = outcome.results.at(0);
  EXPECT_EQ(result.error, (Error{Errc::corrupt, "both"}));
  EXPECT_EQ(result.description, "");
  EXPECT_EQ(result.activity, "unknown");
  EXPECT_TRUE(result.apps.empty());
}

TEST_F(BridgeClientTest, ADeadlinePassesWhileABridgeStandsStill) {
  const auto service = client(1, "stall-after=1");
  const auto images = frames(8);
  ASSERT_TRUE(service->describe_images(std::span(images).first(4), patient(), {}).status);
  auto options = patient();
  options.deadline = std::chrono::milliseconds(300);
  const auto began = std::chrono::steady_clock::now();
  const auto outcome = service->describe_images(images, options, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::deadline_exceeded);
  EXPECT_GE(std::chrono::steady_clock::now() - began, options.deadline);
  EXPECT_EQ(outcome.results.size(), 4u);
  // The connection was closed: the bridge, which serves one client after the other, takes the next.
  EXPECT_TRUE(service->describe_images(std::span(images).first(4), patient(), {}).status);
}

TEST_F(BridgeClientTest, AStopReachesACallWhoseBridgeStandsStill) {
  const auto service = client(1, "stall-after=1");
  std::stop_source stop;
  auto options = patient();
  options.stop = stop.get_token();
  std::jthread stopper;
  const auto outcome = service->describe_images(frames(8), options, [&](const FrameResult& result, const Progress&) {
    if (result.index == 3) stopper = std::jthread([&] { stop.request_stop(); });
  });
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
  EXPECT_GE(outcome.results.size(), 3u);  // the stop may come before the fourth is handed over
}

TEST_F(BridgeClientTest, ACallbackMayStopItsCall) {
  const auto service = client(1);
  std::stop_source stop;
  auto options = patient();
  options.stop = stop.get_token();
  const auto outcome =
      service->describe_images(frames(8), options, [&](const FrameResult&, const Progress&) { stop.request_stop(); });
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
  EXPECT_EQ(outcome.results.size(), 1u);
}

TEST_F(BridgeClientTest, ManyCallsAtOnceKeepTheirResultsApart) {
  const auto service = client(2);
  std::vector<std::vector<Frame>> images;
  for (int i = 0; i < 4; ++i) images.push_back(frames(5));
  std::vector<DescribeOutcome> outcomes(images.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < images.size(); ++i)
      threads.emplace_back([&, i] { outcomes[i] = service->describe_images(images[i], patient(), {}); });
  }
  for (std::size_t i = 0; i < images.size(); ++i) {
    ASSERT_TRUE(outcomes[i].status) << outcomes[i].status.error().message;
    expect_described(outcomes[i].results, images[i], 2);
  }
  EXPECT_EQ(starts(), 1u);
}

TEST(BridgeClientOptions, SaysAllThatIsWrong) {
  EXPECT_THAT(BridgeClientOptions{}.validate(), testing::SizeIs(1));
  BridgeClientOptions options{.socket_path = "x", .command = {""}, .startup_timeout = std::chrono::milliseconds(0)};
  EXPECT_THAT(options.validate(), testing::SizeIs(2));
}

}  // namespace
}  // namespace escribano
