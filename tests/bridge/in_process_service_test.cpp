// The port on an engine of this process, over a fake model.
#include "bridge/in_process_service.h"

#include <atomic>
#include <stop_token>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "engine/fake_backend.h"
#include "image/encode.h"
#include "support/temp_folder.h"

namespace escribano::bridge {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InProcess : public ::testing::Test {
 protected:
  InProcess() {
    script->answer = [](const std::vector<int>& images, const std::string& text) {
      if (images.empty()) return "<think>Hm.</think>Answer to: " + text;
      const std::string number = std::to_string(images.front());
      return "description: Picture " + number + " | activity: reading | apps: [] | topics: []";
    };
    auto backend = std::make_unique<engine::FakeBackend>(script, 4, 4096);
    engine::FakeBackend* raw = backend.get();
    script->before_step = [this, raw](std::string_view) -> Status {
      if (!held) return {};
      if (raw->wait_for_interrupt([this] { return !held; })) return fail(Errc::cancelled, "cancelled");
      return {};
    };
    engine::EngineOptions options;
    options.pixel_rule = {.patch_size_px = 16, .merge_size = 2, .min_pixels = 1024, .max_pixels = 1024};
    service = std::make_unique<InProcessService>(engine::Engine::start(std::move(backend), options).value());
  }

  std::vector<Frame> frames(int count) {
    std::vector<Frame> all;
    for (int i = 0; i < count; ++i) {
      const std::filesystem::path path = folder.path() / (std::to_string(i) + ".png");
      const auto bytes = encode_png(engine::numbered_image(i));
      EXPECT_TRUE(write_file_atomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
      all.push_back({path, i * 1.5});
    }
    return all;
  }

  TempFolder folder;
  std::shared_ptr<engine::FakeScript> script = std::make_shared<engine::FakeScript>();
  std::atomic<bool> held = false;
  std::unique_ptr<InProcessService> service;
};

TEST_F(InProcess, ResultsComeInOrderOnTheCallingThreadWithCumulativeProgress) {
  std::vector<Frame> wanted = frames(5);
  wanted[2].path = "/nowhere.png";
  std::vector<std::size_t> progress;
  const DescribeOutcome outcome =
      service->describe_images(wanted, {}, [&, caller = std::this_thread::get_id()](const FrameResult& r, Progress p) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        EXPECT_EQ(r.index, progress.size());
        EXPECT_EQ(p.total, 5u);
        progress.push_back(p.current);
      });
  ASSERT_TRUE(outcome.status) << outcome.status.error().message;
  EXPECT_THAT(progress, ElementsAre(1, 2, 3, 4, 5));
  ASSERT_EQ(outcome.results.size(), 5u);
  EXPECT_EQ(outcome.results[4].description, "Picture 4");
  EXPECT_EQ(outcome.results[4].timestamp_s, 6);
  EXPECT_EQ(outcome.results[2].status(), FrameStatus::failed);
}

TEST_F(InProcess, ADeadlineEndsTheCall) {
  held = true;
  DescribeOptions options;
  options.deadline = milliseconds(30);
  const DescribeOutcome outcome = service->describe_images(frames(2), options, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::deadline_exceeded);
  GenerateOptions text;
  text.deadline = milliseconds(30);
  EXPECT_EQ(service->generate_text("x", text).error().code, Errc::deadline_exceeded);
  held = false;
  EXPECT_TRUE(service->describe_images(frames(2), {}, {}).status);
}

TEST_F(InProcess, AStopEndsTheCall) {
  held = true;
  std::stop_source stop;
  DescribeOptions options;
  options.stop = stop.get_token();
  std::jthread stopper([&] { stop.request_stop(); });
  const DescribeOutcome outcome = service->describe_images(frames(2), options, {});
  ASSERT_FALSE(outcome.status);
  EXPECT_EQ(outcome.status.error().code, Errc::cancelled);
  held = false;
}

TEST_F(InProcess, TextsComeWithoutThoughts) {
  const auto text = service->generate_text("Hello", {.max_tokens = 500});
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(text->text, HasSubstr("Hello"));
  EXPECT_THAT(text->text, ::testing::Not(HasSubstr("Hm.")));
  EXPECT_GT(text->generation_tokens, 0);
  EXPECT_FALSE(text->truncated);
  EXPECT_TRUE(service->generate_text("Hello", {.max_tokens = 5})->truncated);
}

TEST_F(InProcess, WhatMakesNoSenseIsRefused) {
  EXPECT_EQ(service->describe_images({}, {}, {}).status.error().code, Errc::invalid_argument);
  EXPECT_EQ(service->describe_images(frames(1), {.batch_size = 0}, {}).status.error().code, Errc::invalid_argument);
  EXPECT_EQ(service->generate_text("x", {.max_tokens = 0}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace escribano::bridge
