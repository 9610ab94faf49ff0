#pragma once

#include <memory>
#include <vector>

#include "engine/backend.h"
#include "engine/engine.h"
#include "models/model_files.h"
#include "support/demo_files.h"

namespace escribano {

// The model's own rule for image sizes.
PixelRule demo_pixel_rule();

// One compute thread unless told otherwise: ctest runs several tests at once, and threads of ggml that wait for each other
// on busy processors spend their time spinning.
// kTwoThreads is 1 under ThreadSanitizer: it sees what llama.cpp, which is not built for it, copies, and not how its
// threads wait for each other, and would report every such copy as a race.
#ifdef __SANITIZE_THREAD__
inline constexpr int kTwoThreads = 1;
#else
inline constexpr int kTwoThreads = 2;
#endif
std::unique_ptr<engine::Backend> load_demo_backend(int slots, int context_tokens, int threads = 1);
// `max_total_tokens` lets the context be cut anew, for up to so many tokens in one slot.
std::unique_ptr<engine::Engine> start_demo_engine(int slots, int context_tokens, int max_total_tokens = 0,
                                                  bool drafts = true);
// The same with options of your own; the rule for pictures is the model's.
std::unique_ptr<engine::Engine> start_demo_engine(int slots, int context_tokens, engine::EngineOptions options);

// Runs one request to its end. Throws if it does not end well.
std::vector<engine::FrameResult> describe(engine::Engine& engine, engine::DescribeRequest request);
engine::GenerateResult generate(engine::Engine& engine, engine::GenerateRequest request);

// 32 frames of the sample recording, one every 5.5 s from 0 s on, in order: all its screens, returns to earlier ones, and
// a still stretch whose frames differ in nothing but coding noise.
std::vector<std::filesystem::path> sample_frames();

}  // namespace escribano
