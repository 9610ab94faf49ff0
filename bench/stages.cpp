// Where the time of describing N frames goes: seconds and tokens for image load, vision, prefill and decode, and peak
// resident memory. Frames are taken in turn from the pictures given; none is answered from a cache.
//
//   build/release/bin/stages --frames 32 --batch-size 4 assets/samples/frames/*
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include "cli/model_setup.h"
#include "cli/openmp_wait.h"
#include "engine/engine.h"
#include "format/prompts.h"

namespace {

using escribano::Result;
using escribano::Status;
namespace cli = escribano::cli;
namespace engine = escribano::engine;

struct Arguments {
  std::vector<std::string> images;
  int frames = 32;
  int batch_size = 4;
  int max_tokens = 500;
  int max_image_tokens = 0;
  int threads = 0;
  std::string model = "demo";
  std::string strategy = "parallel";
  bool drafts = false;
};

double peak_memory_mb() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
#endif
}

void print_row(const char* stage, double seconds, double wall_s, int frames, std::uint64_t tokens) {
  fmt::print("| {:<10} | {:>8.3f} | {:>5.1f} | {:>8.1f} | {:>8} | {:>8} |\n", stage, seconds, 100 * seconds / wall_s,
             1000 * seconds / frames, tokens,
             tokens > 0 ? fmt::format("{:.0f}", static_cast<double>(tokens) / seconds) : "");
}

Status run(const Arguments& arguments) {
  ESCRIBANO_TRY(cli::Settings settings, cli::Settings::read(cli::process_environment()));
  settings.vlm_model.set(arguments.model, "--model");
  ESCRIBANO_TRY(const cli::ChosenModel model, cli::choose_model(settings, cli::process_environment(), {}));
  engine::DescribeRequest request;
  for (int i = 0; i < arguments.frames; ++i) {
    const std::string& image = arguments.images[static_cast<std::size_t>(i) % arguments.images.size()];
    request.frames.push_back({.path = image, .timestamp_s = static_cast<double>(i)});
  }
  const bool parallel = arguments.strategy == "parallel";
  request.strategy = parallel ? engine::Strategy::parallel : engine::Strategy::interleaved;
  request.batch_size = arguments.batch_size;
  request.max_tokens = arguments.max_tokens * (parallel ? 1 : arguments.batch_size);
  const cli::EngineSetup setup = {
      .strategy = request.strategy,
      .frames = arguments.frames,
      .batch_size = arguments.batch_size,
      .max_tokens = request.max_tokens,
      .prompt_bytes = static_cast<int>(escribano::builtin_prompt(escribano::PromptKind::batch).size()),
      .max_image_tokens = arguments.max_image_tokens,
      .threads = arguments.threads,
      .drafts = arguments.drafts,
      .reuse_embeddings = false,
  };
  const auto loading = std::chrono::steady_clock::now();
  ESCRIBANO_TRY(const std::unique_ptr<engine::Engine> engine, cli::start_engine(model, setup));
  const auto begin = std::chrono::steady_clock::now();

  std::uint64_t image_tokens = 0;
  std::promise<Status> done;
  ESCRIBANO_CHECK(
      engine->submit(std::move(request), {
                                             .on_frame =
                                                 [&](const engine::FrameResult& frame) {
                                                   image_tokens += static_cast<std::uint64_t>(frame.stats.image_tokens);
                                                 },
                                             .on_done = [&](const Status& status) { done.set_value(status); },
                                         }));
  ESCRIBANO_CHECK(done.get_future().get());
  const double wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const engine::EngineCounters counters = engine->counters();

  fmt::print("{} frames, {}, batch {}, {} slots of {} tokens; {} described, {} unparsed, {} failed\n\n",
             arguments.frames, arguments.strategy, arguments.batch_size, engine->slots(), engine->context_tokens(),
             counters.frames_described, counters.frames_unparsed, counters.frames_failed);
  fmt::print("| {:<10} | {:>8} | {:>5} | {:>8} | {:>8} | {:>8} |\n", "stage", "s", "%", "ms/frame", "tokens",
             "tokens/s");
  fmt::print("|------------|----------|-------|----------|----------|----------|\n");
  print_row("image load", counters.load_s, wall_s, arguments.frames, 0);
  print_row("vision", counters.encode_s, wall_s, arguments.frames, image_tokens);
  print_row("prefill", counters.prefill_s, wall_s, arguments.frames, counters.prompt_tokens);
  print_row("decode", counters.decode_s, wall_s, arguments.frames, counters.generation_tokens);
  print_row("all", wall_s, wall_s, arguments.frames, 0);
  fmt::print("\n{:.2f} frames/s; {} decode steps; model loaded in {:.2f} s; peak resident memory {:.0f} MB\n",
             arguments.frames / wall_s, counters.decode_steps, std::chrono::duration<double>(begin - loading).count(),
             peak_memory_mb());
  fmt::print("{} tokens drafted, {} of them accepted\n", counters.drafted_tokens, counters.accepted_tokens);
  fmt::print("(images are loaded beside the other stages, so that row is not part of the sum)\n");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  cli::sleep_at_barriers(argv);
  CLI::App app("Seconds and tokens by stage of describing frames");
  Arguments arguments;
  app.add_option("IMAGE", arguments.images, "Pictures to take the frames from, in turn")->required();
  app.add_option("--frames", arguments.frames)->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--batch-size", arguments.batch_size)->check(CLI::Range(1, 255))->capture_default_str();
  app.add_option("--max-tokens", arguments.max_tokens, "Of a frame")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--max-image-tokens", arguments.max_image_tokens)->check(CLI::Range(4, 65536));
  app.add_option("--threads", arguments.threads)->check(CLI::Range(1, 1024));
  app.add_option("--model", arguments.model)->capture_default_str();
  app.add_option("--strategy", arguments.strategy)
      ->check(CLI::IsMember({"parallel", "interleaved"}))
      ->capture_default_str();
  app.add_flag(
      "--drafts", arguments.drafts,
      "Draft tokens from the texts of other frames: frames that are taken in turn come again, and so do texts");
  CLI11_PARSE(app, argc, argv);
  if (const Status status = run(arguments); !status) {
    fmt::print(stderr, "stages: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
