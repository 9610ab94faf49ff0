#include "support/demo_model.h"

#include <algorithm>
#include <future>
#include <stdexcept>

#include "engine/llama/llama_backend.h"

namespace escribano {
namespace {

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

}  // namespace

PixelRule demo_pixel_rule() {
  const ModelInfo info = value_or_throw(check_model(demo_model()));
  return {.patch_size_px = static_cast<int>(info.patch_size),
          .merge_size = static_cast<int>(info.merge_size),
          .min_pixels = info.min_pixels.value(),
          .max_pixels = info.max_pixels.value()};
}

std::unique_ptr<engine::Backend> load_demo_backend(int slots, int context_tokens, int threads) {
  engine::LlamaOptions options;
  options.model = demo_model().model;
  options.projector = demo_model().projector;
  options.slots = slots;
  options.context_tokens = context_tokens;
  options.threads = threads;
  options.max_image_tokens = 256;  // the model's own limit
  return value_or_throw(engine::load_llama_backend(options));
}

std::unique_ptr<engine::Engine> start_demo_engine(int slots, int context_tokens, int max_total_tokens, bool drafts) {
  engine::EngineOptions options;
  options.answer_cache_bytes = 0;  // what is compared must have been written twice
  options.max_context_tokens = max_total_tokens;
  options.max_total_tokens = max_total_tokens;
  if (!drafts) options.draft_tokens = 0;
  return start_demo_engine(slots, context_tokens, options);
}

std::unique_ptr<engine::Engine> start_demo_engine(int slots, int context_tokens, engine::EngineOptions options) {
  options.pixel_rule = demo_pixel_rule();
  options.max_frames_per_prompt = 6;
  return value_or_throw(engine::Engine::start(load_demo_backend(slots, context_tokens), options));
}

std::vector<engine::FrameResult> describe(engine::Engine& engine, engine::DescribeRequest request) {
  std::vector<engine::FrameResult> results;
  std::promise<Status> done;
  value_or_throw(
      engine.submit(std::move(request), {
                                            .on_frame = [&](const engine::FrameResult& r) { results.push_back(r); },
                                            .on_done = [&](const Status& status) { done.set_value(status); },
                                        }));
  std::future<Status> ended = done.get_future();
  if (ended.wait_for(std::chrono::minutes(5)) != std::future_status::ready) {
    throw std::runtime_error("the request did not end");
  }
  if (const Status status = ended.get(); !status) throw std::runtime_error(status.error().message);
  return results;
}

engine::GenerateResult generate(engine::Engine& engine, engine::GenerateRequest request) {
  std::promise<Result<engine::GenerateResult>> done;
  value_or_throw(
      engine.submit(std::move(request), [&](const Result<engine::GenerateResult>& result) { done.set_value(result); }));
  std::future<Result<engine::GenerateResult>> ended = done.get_future();
  if (ended.wait_for(std::chrono::minutes(5)) != std::future_status::ready) {
    throw std::runtime_error("the request did not end");
  }
  return value_or_throw(ended.get());
}

std::vector<std::filesystem::path> sample_frames() {
  std::vector<std::filesystem::path> frames;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(ESCRIBANO_BINARY_DIR) / "tests" / "sample-frames")) {
    if (entry.path().extension() == ".png") frames.push_back(entry.path());
  }
  std::sort(frames.begin(), frames.end());
  return frames;
}

}  // namespace escribano
