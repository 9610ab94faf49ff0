#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/fake_backend.h"

namespace escribano::engine {

inline std::string line(int number) {
  return "description: Picture " + std::to_string(number) + " | activity: reading | apps: [App" +
         std::to_string(number) + "] | topics: [t]";
}

// Everything an observer was told.
struct Outcome {
  std::vector<FrameResult> frames;
  Status done;
};

// Collects the events of one request; wait() has a deadline so that a lost event fails the test and does not hang it.
class Recorder {
 public:
  DescribeObserver observer() {
    return {.on_frame =
                [this](const FrameResult& frame) {
                  const std::lock_guard lock(mutex_);
                  outcome_.frames.push_back(frame);
                  changed_.notify_all();
                },
            .on_done =
                [this](const Status& status) {
                  const std::lock_guard lock(mutex_);
                  ++done_calls_;
                  outcome_.done = status;
                  changed_.notify_all();
                }};
  }
  Outcome wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return done_calls_ > 0; })) << "the request never ended";
    return outcome_;
  }
  void wait_for_frames(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kDeadline, [&] { return outcome_.frames.size() >= count; }));
  }
  int done_calls() {
    const std::lock_guard lock(mutex_);
    return done_calls_;
  }

 private:
  static constexpr std::chrono::seconds kDeadline{20};
  std::mutex mutex_;
  std::condition_variable changed_;
  Outcome outcome_;
  int done_calls_ = 0;
};

// The same for a conversation.
class Reply {
 public:
  auto on_done() {
    return [this](const Result<GenerateResult>& result) {
      const std::lock_guard lock(mutex_);
      ++calls_;
      result_ = result;
      changed_.notify_all();
    };
  }
  Result<GenerateResult> wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return calls_ > 0; })) << "no answer ever came";
    return result_;
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Result<GenerateResult> result_ = fail(Errc::internal, "no answer");
  int calls_ = 0;
};

// A place where the engine can be held: arrive() blocks until open(), reached() until somebody has arrived.
class Gate {
 public:
  void arrive() {
    std::unique_lock lock(mutex_);
    arrived_ = true;
    changed_.notify_all();
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return open_; })) << "nobody opened";
  }
  void reached() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return arrived_; })) << "nobody came";
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool arrived_ = false;
  bool open_ = false;
};

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    script->answer = [](const std::vector<int>& images, const std::string&) {
      if (images.size() == 1) return line(images.front());
      std::string text;
      for (std::size_t i = 0; i < images.size(); ++i) {
        text += (i > 0 ? "\n" : "") + ("Frame " + std::to_string(i + 1)) + ": " + line(images[i]);
      }
      return text;
    };
  }
  ~EngineTest() override {
    engine.reset();
    EXPECT_THAT(script->violations, ::testing::IsEmpty());
  }

  void start(int slots, int context_tokens = 4096, int max_frames_per_prompt = 6) {
    options.pixel_rule = {.patch_size_px = 16, .merge_size = 2, .min_pixels = 1024, .max_pixels = 1024};
    options.max_frames_per_prompt = max_frames_per_prompt;
    auto owned = std::make_unique<FakeBackend>(script, slots, context_tokens);
    backend = owned.get();
    engine = Engine::start(std::move(owned), options).value();
  }
  static DescribeRequest request(const std::vector<int>& numbers) {
    DescribeRequest request;
    request.prompt = "Describe.";
    for (const int number : numbers) {
      request.frames.push_back({.image = std::make_shared<Image>(numbered_image(number))});
    }
    return request;
  }
  Outcome run(DescribeRequest request) {
    Recorder recorder;
    EXPECT_TRUE(engine->submit(std::move(request), recorder.observer()));
    return recorder.wait();
  }

  static GenerateRequest question(const std::string& text, const std::vector<int>& images = {}) {
    ChatMessage message{.role = "user", .parts = {text}};
    for (const int number : images) {
      message.parts.emplace_back(FrameInput{.image = std::make_shared<Image>(numbered_image(number))});
    }
    return {.messages = {message}};
  }
  Result<GenerateResult> run(GenerateRequest request) {
    Reply reply;
    EXPECT_TRUE(engine->submit(std::move(request), reply.on_done()));
    return reply.wait();
  }
  std::vector<std::pair<int, int>> reshapes() {
    const std::lock_guard lock(script->mutex);
    return script->reshapes;
  }

  EngineOptions options;           // of the next start()
  FakeBackend* backend = nullptr;  // of the engine
  std::shared_ptr<FakeScript> script = std::make_shared<FakeScript>();
  std::unique_ptr<Engine> engine;
};

inline std::vector<int> numbers_up_to(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(i);
  return numbers;
}

}  // namespace escribano::engine
