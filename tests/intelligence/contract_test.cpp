// What every implementation of the port IntelligenceService must do, once for each peer of peers.h.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <ostream>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "format/prompts.h"
#include "intelligence/peers.h"
#include "support/server_process.h"
#include "support/temp_folder.h"

namespace escribano {

void PrintTo(const PeerKind& kind, std::ostream* out) { *out << kind.name; }

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::filesystem::path kSamples = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets" / "samples";

// No call of a test takes longer, unless it hangs.
constexpr seconds kPatience{120};

// The sample frames, with the time in the recording that their names say.
std::vector<Frame> sample_frames() {
  std::vector<Frame> frames;
  for (const auto& entry : std::filesystem::directory_iterator(kSamples / "frames")) {
    const std::string name = entry.path().stem().string();
    frames.push_back({entry.path(), std::stod(name.substr(name.rfind('-') + 1))});
  }
  std::sort(frames.begin(), frames.end(), [](const Frame& a, const Frame& b) { return a.timestamp_s < b.timestamp_s; });
  return frames;
}

// (A vector must not be inserted into itself: its elements move away under the copy.)
std::vector<Frame> repeated(const std::vector<Frame>& frames, int times) {
  std::vector<Frame> many;
  for (int i = 0; i < times; ++i) many.insert(many.end(), frames.begin(), frames.end());
  return many;
}

DescribeOptions patient() {
  DescribeOptions options;
  options.deadline = kPatience;
  return options;
}

std::vector<std::string> descriptions(const DescribeOutcome& outcome) {
  std::vector<std::string> texts;
  for (const FrameResult& result : outcome.results) texts.push_back(result.description);
  return texts;
}

void expect_belongs(const FrameResult& result, std::size_t index, const Frame& frame) {
  EXPECT_EQ(result.index, index);
  EXPECT_EQ(result.image_path, frame.path.native());
  EXPECT_EQ(result.timestamp_s, frame.timestamp_s);
}

class Contract : public ::testing::TestWithParam<PeerKind> {
 protected:
  void SetUp() override { peer_ = GetParam().start(); }

  IntelligenceService& service() { return peer_->service(); }

  std::unique_ptr<Peer> peer_;
};

TEST_P(Contract, EveryFrameIsDescribedAndHandedOverInOrderOnTheCallingThread) {
  const std::vector<Frame> frames = sample_frames();
  std::vector<FrameResult> handed;
  std::size_t finished = 0;
  const auto caller = std::this_thread::get_id();
  const DescribeOutcome outcome =
      service().describe_images(frames, patient(), [&](const FrameResult& result, const Progress& progress) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(progress.total, frames.size());
        EXPECT_GT(progress.current, handed.size());
        EXPECT_GE(progress.current, finished);
        EXPECT_LE(progress.current, progress.total);
        finished = progress.current;
        handed.push_back(result);
      });
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  ASSERT_THAT(outcome.results, SizeIs(frames.size()));
  EXPECT_EQ(finished, frames.size());
  EXPECT_EQ(handed, outcome.results);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const FrameResult& result = outcome.results[i];
    expect_belongs(result, i, frames[i]);
    EXPECT_EQ(result.status(), FrameStatus::described) << result.raw_response.value_or("");
    EXPECT_FALSE(result.description.empty());
    EXPECT_EQ(result.stats.finish_reason, "stop");
    if (GetParam().says_stats) {
      EXPECT_GT(result.stats.generation_tokens, 0);
    }
  }
}

TEST_P(Contract, ATextFollowsItsPictureWhereverItStands) {
  std::vector<Frame> frames = sample_frames();
  frames.resize(6);
  const DescribeOutcome first = service().describe_images(frames, patient(), {});
  ASSERT_TRUE(first.status) << first.status.error().message;
  const std::vector<std::string> texts = descriptions(first);
  EXPECT_THAT(std::set<std::string>(texts.begin(), texts.end()), SizeIs(frames.size())) << "pictures alike";
  std::map<std::string, std::string> text_of;
  for (std::size_t i = 0; i < frames.size(); ++i) text_of[frames[i].path.native()] = texts[i];

  std::rotate(frames.begin(), frames.begin() + 3, frames.end());
  std::reverse(frames.begin(), frames.begin() + 4);
  const DescribeOutcome second = service().describe_images(frames, patient(), {});
  ASSERT_TRUE(second.status) << second.status.error().message;
  for (const FrameResult& result : second.results) EXPECT_EQ(result.description, text_of.at(result.image_path));
}

TEST_P(Contract, InterleavedFramesKeepTheirTexts) {
  std::vector<Frame> frames = sample_frames();
  frames.resize(5);
  DescribeOptions options = patient();
  const DescribeOutcome alone = service().describe_images(frames, options, {});
  options.strategy = DescribeStrategy::interleaved;
  options.batch_size = 3;
  const DescribeOutcome outcome = service().describe_images(frames, options, {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  ASSERT_THAT(outcome.results, SizeIs(frames.size()));
  for (std::size_t i = 0; i < frames.size(); ++i) {
    expect_belongs(outcome.results[i], i, frames[i]);
    EXPECT_EQ(outcome.results[i].status(), FrameStatus::described) << outcome.results[i].raw_response.value_or("");
    EXPECT_EQ(outcome.results[i].apps, alone.results[i].apps);
  }
}

TEST_P(Contract, AMissingFileFailsAlone) {
  std::vector<Frame> frames = sample_frames();
  frames.resize(4);
  frames[1].path = kSamples / "frames" / "there-is-no-such-frame.jpg";
  for (const DescribeStrategy strategy : {DescribeStrategy::parallel, DescribeStrategy::interleaved}) {
    DescribeOptions options = patient();
    options.strategy = strategy;
    const DescribeOutcome outcome = service().describe_images(frames, options, {});
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    ASSERT_THAT(outcome.results, SizeIs(4));
    for (std::size_t i = 0; i < frames.size(); ++i) expect_belongs(outcome.results[i], i, frames[i]);
    EXPECT_EQ(outcome.results[0].status(), FrameStatus::described);
    ASSERT_EQ(outcome.results[1].status(), FrameStatus::failed);
    EXPECT_THAT(outcome.results[1].error->message, HasSubstr("there-is-no-such-frame.jpg"));
    EXPECT_EQ(outcome.results[1].description, "");
    EXPECT_EQ(outcome.results[1].activity, "unknown");
    EXPECT_EQ(outcome.results[2].status(), FrameStatus::described);
    EXPECT_EQ(outcome.results[3].status(), FrameStatus::described);
  }
}

TEST_P(Contract, AFileThatIsNoPictureFailsAlone) {
  const TempFolder folder;
  std::ofstream(folder.path() / "notes.png") << "these are notes";
  std::vector<Frame> frames = sample_frames();
  frames.resize(2);
  frames.insert(frames.begin(), {folder.path() / "notes.png", 1});
  const DescribeOutcome outcome = service().describe_images(frames, patient(), {});
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  ASSERT_THAT(outcome.results, SizeIs(3));
  EXPECT_EQ(outcome.results[0].status(), FrameStatus::failed);
  EXPECT_EQ(outcome.results[1].status(), FrameStatus::described);
  EXPECT_EQ(outcome.results[2].status(), FrameStatus::described);
}

TEST_P(Contract, NoImagesAreAnInvalidArgument) {
  const DescribeOutcome outcome = service().describe_images({}, patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::invalid_argument);
}

TEST_P(Contract, OptionsOutOfRangeAreAnInvalidArgument) {
  const std::vector<Frame> frames = sample_frames();
  DescribeOptions describe = patient();
  describe.batch_size = 0;
  describe.temperature = -1;
  const DescribeOutcome outcome = service().describe_images(frames, describe, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::invalid_argument);
  EXPECT_THAT(outcome.status.error().message, HasSubstr("batch size"));
  EXPECT_THAT(outcome.results, SizeIs(0));
  GenerateOptions generate;
  generate.max_tokens = 0;
  const auto text = service().generate_text("Hello", generate);
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::invalid_argument);
}

TEST_P(Contract, TwoThreadsAtOnceBothGetAllTheirFrames) {
  const std::vector<Frame> frames = sample_frames();
  const std::vector<Frame> front(frames.begin(), frames.begin() + 4);
  const std::vector<Frame> back(frames.begin() + 4, frames.end());
  auto other = std::async(std::launch::async, [&] { return service().describe_images(back, patient(), {}); });
  const DescribeOutcome mine = service().describe_images(front, patient(), {});
  const DescribeOutcome theirs = other.get();
  ASSERT_TRUE(mine.status) << mine.status.error().message;
  ASSERT_TRUE(theirs.status) << theirs.status.error().message;
  ASSERT_THAT(mine.results, SizeIs(front.size()));
  ASSERT_THAT(theirs.results, SizeIs(back.size()));
  for (std::size_t i = 0; i < front.size(); ++i) expect_belongs(mine.results[i], i, front[i]);
  for (std::size_t i = 0; i < back.size(); ++i) expect_belongs(theirs.results[i], i, back[i]);
  for (const FrameResult& result : mine.results) EXPECT_EQ(result.status(), FrameStatus::described);
  for (const FrameResult& result : theirs.results) EXPECT_EQ(result.status(), FrameStatus::described);
}

TEST_P(Contract, AStoppedCallEndsSoonAndKeepsWhatWasDelivered) {
  std::vector<Frame> frames = sample_frames();
  frames = repeated(frames, 5);
  std::stop_source stop;
  DescribeOptions options = patient();
  options.stop = stop.get_token();
  std::size_t delivered = 0;
  std::chrono::steady_clock::time_point stopped;
  const DescribeOutcome outcome = service().describe_images(frames, options, [&](const FrameResult&, const Progress&) {
    ++delivered;
    if (!stop.stop_requested()) stopped = std::chrono::steady_clock::now();
    stop.request_stop();
  });
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, seconds(5));
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
  EXPECT_GE(delivered, 1U);
  EXPECT_EQ(outcome.results.size(), delivered);
  EXPECT_LT(delivered, frames.size());
  for (std::size_t i = 0; i < delivered; ++i) expect_belongs(outcome.results[i], i, frames[i]);
}

TEST_P(Contract, ACallThatWasStoppedBeforeItBeganDeliversNothing) {
  std::stop_source stop;
  stop.request_stop();
  DescribeOptions options = patient();
  options.stop = stop.get_token();
  const DescribeOutcome outcome = service().describe_images(sample_frames(), options, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
  EXPECT_THAT(outcome.results, SizeIs(0));
}

TEST_P(Contract, AStopFromAnotherThreadReachesACallThatWaits) {
  std::vector<Frame> frames = sample_frames();
  frames = repeated(frames, 32);
  std::stop_source stop;
  DescribeOptions options = patient();
  options.stop = stop.get_token();
  std::promise<void> begun;
  std::once_flag once;
  std::jthread stopper([&] {
    begun.get_future().wait_for(kPatience);
    stop.request_stop();
  });
  const DescribeOutcome outcome = service().describe_images(
      frames, options, [&](const FrameResult&, const Progress&) { std::call_once(once, [&] { begun.set_value(); }); });
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
}

TEST_P(Contract, PastItsDeadlineACallFails) {
  std::vector<Frame> frames = sample_frames();
  frames = repeated(frames, 32);
  DescribeOptions options;
  options.deadline = milliseconds(20);
  const auto began = std::chrono::steady_clock::now();
  const DescribeOutcome outcome = service().describe_images(frames, options, {});
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(5));
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::deadline_exceeded);
  EXPECT_LT(outcome.results.size(), frames.size());
  GenerateOptions generate;
  generate.deadline = milliseconds(1);
  const auto text = service().generate_text("A long story", generate);
  if (!text && GetParam().generates_text) {
    EXPECT_EQ(text.error().code, Errc::deadline_exceeded);
  }
}

TEST_P(Contract, APromptIsAnswered) {
  const std::string prompt =
      fill(builtin_prompt(PromptKind::summary), {{"segments", "00:00-00:12 coding, VS Code, atlas-search, tests"}})
          .value();
  GenerateOptions options;
  options.max_tokens = 200;
  options.deadline = kPatience;
  const auto text = service().generate_text(prompt, options);
  if (!GetParam().generates_text) {
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, Errc::unsupported);
    return;
  }
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_FALSE(text->text.empty());
  EXPECT_GT(text->prompt_tokens, 0);
  EXPECT_GT(text->generation_tokens, 0);
  EXPECT_FALSE(text->truncated) << text->text;
}

TEST_P(Contract, ADeadPeerIsAnErrorAndNotAWait) {
  peer_->kill();
  const auto began = std::chrono::steady_clock::now();
  const DescribeOutcome outcome = service().describe_images(sample_frames(), patient(), {});
  ASSERT_FALSE(outcome.status);
  EXPECT_THAT(outcome.results, SizeIs(0));
  EXPECT_NE(outcome.status.error().code, Errc::deadline_exceeded);
  EXPECT_FALSE(outcome.status.error().message.empty());
  EXPECT_FALSE(service().generate_text("Hello", {}));
  EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(30));
}

TEST_P(Contract, APeerThatDiesInACallEndsItAndWhatWasDeliveredStays) {
  std::vector<Frame> frames = sample_frames();
  frames = repeated(frames, 5);
  std::size_t delivered = 0;
  const DescribeOutcome outcome =
      service().describe_images(frames, patient(), [&](const FrameResult&, const Progress&) {
        if (++delivered == 1) peer_->kill();
      });
  ASSERT_FALSE(outcome.status);
  EXPECT_NE(outcome.status.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(outcome.results.size(), delivered);
  EXPECT_LT(delivered, frames.size());
}

TEST_P(Contract, NothingStaysOpenBehindACall) {
  std::vector<Frame> frames = sample_frames();
  frames.resize(3);
  ASSERT_TRUE(service().describe_images(frames, patient(), {}).status);
  const int before = open_descriptors();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(service().describe_images(frames, patient(), {}).status);
  EXPECT_EQ(open_descriptors(), before);
}

class DemoModelContract : public Contract {};

TEST_P(DemoModelContract, WhatIsOnTheScreenIsSeen) {
  const std::vector<Frame> frames = sample_frames();
  const Json truth = Json::parse(read_text_file(kSamples / "session-a.truth.json", 1 << 20).value());
  for (const DescribeStrategy strategy : {DescribeStrategy::parallel, DescribeStrategy::interleaved}) {
    DescribeOptions options = patient();
    options.strategy = strategy;
    const DescribeOutcome outcome = service().describe_images(frames, options, {});
    ASSERT_TRUE(outcome.status) << outcome.status.error().message;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const auto span = std::find_if(truth.at("spans").begin(), truth.at("spans").end(), [&](const Json& candidate) {
        return frames[i].timestamp_s < candidate.at("end").get<double>();
      });
      ASSERT_NE(span, truth.at("spans").end());
      EXPECT_EQ(outcome.results[i].apps, span->at("apps").get<std::vector<std::string>>()) << frames[i].path;
      EXPECT_EQ(outcome.results[i].activity, span->at("activity").get<std::string>()) << frames[i].path;
    }
  }
}

std::string name_of(const ::testing::TestParamInfo<PeerKind>& kind) { return kind.param.name; }

std::vector<PeerKind> peers_with_the_demo_model() {
  std::vector<PeerKind> kinds = peers();
  std::erase_if(kinds, [](const PeerKind& kind) { return !kind.demo_model; });
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Peers, Contract, ::testing::ValuesIn(peers()), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DemoModelContract);  // llama.cpp may come from elsewhere
INSTANTIATE_TEST_SUITE_P(Peers, DemoModelContract, ::testing::ValuesIn(peers_with_the_demo_model()), name_of);

}  // namespace
}  // namespace escribano
