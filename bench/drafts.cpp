// What drafts save: describes consecutive frames of a recording, batch by batch, once without drafts and once with them in each
// round, and compares decode tokens a second and the texts. Both see the same frames in the same order.
//
//   build/release/bin/drafts_bench assets/samples/session-a.mp4 --interval 2
#include <algorithm>
#include <cstdio>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "cli/model_setup.h"
#include "cli/openmp_wait.h"
#include "engine/engine.h"
#include "format/prompts.h"
#include "image/image.h"
#include "recording/recording_file.h"

namespace {

using escribano::Image;
using escribano::Result;
using escribano::Status;
namespace cli = escribano::cli;
namespace engine = escribano::engine;

struct Arguments {
  std::string recording;
  double interval_s = 2;
  std::vector<int> batch_sizes = {1, 4};
  int frames = 0;  // 0: all
  int rounds = 1;
  int max_tokens = 500;
  int max_image_tokens = 0;
  int threads = 0;
  std::string model = "demo";
};

using Frames = std::vector<std::shared_ptr<const Image>>;

// Those that would be described: not the ones that show nothing new.
Result<Frames> read_frames(const Arguments& arguments) {
  ESCRIBANO_TRY(const auto recording, escribano::open_recording(arguments.recording));
  escribano::SamplingOptions options;
  options.interval_s = arguments.interval_s;
  ESCRIBANO_TRY(const escribano::Sampling sampling, recording->sample(options, {}, {}));
  Frames frames;
  for (const escribano::SampledFrame& frame : sampling.frames) {
    if (frame.source) continue;
    if (arguments.frames > 0 && frames.size() == static_cast<std::size_t>(arguments.frames)) break;
    ESCRIBANO_TRY(const escribano::AnonymousFile picture, recording->picture(frame.timestamp_s));
    ESCRIBANO_TRY(Image image, escribano::load_image(picture.path(), {}));
    frames.push_back(std::make_shared<const Image>(std::move(image)));
  }
  return frames;
}

// The engine with drafts or without, and what it has written.
struct Side {
  std::unique_ptr<engine::Engine> engine;
  std::vector<std::string> texts;

  // Seconds of decoding.
  Result<double> describe(std::span<const std::shared_ptr<const Image>> frames, int max_tokens) {
    const double before = engine->counters().decode_s;
    engine::DescribeRequest request;
    request.max_tokens = max_tokens;
    request.batch_size = static_cast<int>(frames.size());
    for (const auto& frame : frames) request.frames.push_back({.path = {}, .image = frame});
    std::promise<Status> done;
    ESCRIBANO_CHECK(engine->submit(std::move(request),
                                   {.on_frame = [&](const engine::FrameResult& frame) { texts.push_back(frame.raw); },
                                    .on_done = [&](const Status& status) { done.set_value(status); }}));
    ESCRIBANO_CHECK(done.get_future().get());
    return engine->counters().decode_s - before;
  }
};

Result<Side> start(const cli::ChosenModel& model, const Arguments& arguments, int batch_size, bool drafts) {
  const cli::EngineSetup setup = {
      .frames = batch_size,
      .batch_size = batch_size,
      .max_tokens = arguments.max_tokens,
      .prompt_bytes = static_cast<int>(escribano::builtin_prompt(escribano::PromptKind::single).size()),
      .max_image_tokens = arguments.max_image_tokens,
      .threads = arguments.threads,
      .drafts = drafts,
  };
  ESCRIBANO_TRY(std::unique_ptr<engine::Engine> engine, cli::start_engine(model, setup));
  return Side{.engine = std::move(engine), .texts = {}};
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// What describing all frames took.
struct Run {
  engine::EngineCounters counters;
  std::vector<std::string> texts;
  std::vector<double> batches_s;
};

// With an engine of its own: libgomp keeps threads for every thread that computes, and where there are two such engines at a
// time, it lets all of their threads sleep sooner.
Result<Run> describe_all(const cli::ChosenModel& model, const Arguments& arguments, const Frames& frames,
                         int batch_size, bool drafts) {
  ESCRIBANO_TRY(Side side, start(model, arguments, batch_size, drafts));
  const std::span<const std::shared_ptr<const Image>> all = frames;
  Run run;
  for (std::size_t at = 0; at < all.size(); at += static_cast<std::size_t>(batch_size)) {
    const auto batch = all.subspan(at, std::min(static_cast<std::size_t>(batch_size), all.size() - at));
    ESCRIBANO_TRY(const double seconds, side.describe(batch, arguments.max_tokens));
    run.batches_s.push_back(seconds);
  }
  run.counters = side.engine->counters();
  run.texts = std::move(side.texts);
  return run;
}

Status compare(const cli::ChosenModel& model, const Arguments& arguments, const Frames& frames, int batch_size) {
  std::vector<double> ratios;  // of each batch; their median stands above what else the machine does meanwhile
  double without_s = 0;
  double with_s = 0;
  bool equal = true;
  Run without;
  Run with;
  for (int round = 0; round < arguments.rounds; ++round) {
    const bool drafts_first = round % 2 == 1;
    for (const bool drafts : {drafts_first, !drafts_first}) {
      ESCRIBANO_TRY((drafts ? with : without), describe_all(model, arguments, frames, batch_size, drafts));
    }
    without_s += without.counters.decode_s;
    with_s += with.counters.decode_s;
    equal = equal && with.texts == without.texts;
    for (std::size_t i = 0; i < with.batches_s.size(); ++i) {
      ratios.push_back(without.batches_s[i] / with.batches_s[i]);
    }
  }
  const engine::EngineCounters& off = without.counters;
  const engine::EngineCounters& on = with.counters;
  const double tokens = static_cast<double>(off.generation_tokens) * arguments.rounds;
  fmt::print(
      "| {:>5} | {:>6} | {:>6} | {:>11} | {:>10} | {:>11.0f} | {:>10.0f} | {:>5.2f} | {:>6.2f} | {:>7} | {:>8} | "
      "{:>11} |\n",
      batch_size, without.texts.size(), off.generation_tokens, off.decode_steps, on.decode_steps, tokens / without_s,
      tokens / with_s, without_s / with_s, median(ratios), on.drafted_tokens, on.accepted_tokens,
      equal ? "all" : "NOT ALL");
  return {};
}

Status run(const Arguments& arguments) {
  ESCRIBANO_TRY(cli::Settings settings, cli::Settings::read(cli::process_environment()));
  settings.vlm_model.set(arguments.model, "--model");
  ESCRIBANO_TRY(const cli::ChosenModel model, cli::choose_model(settings, cli::process_environment(), {}));
  ESCRIBANO_TRY(const Frames frames, read_frames(arguments));
  fmt::print(
      "| batch | frames | tokens | steps: none | with draft | t/s: none   | with draft | ratio | median | drafted | "
      "accepted | "
      "texts equal |\n");
  fmt::print(
      "|-------|--------|--------|-------------|------------|-------------|------------|-------|--------|---------|----"
      "------|"
      "-------------|\n");
  for (const int batch_size : arguments.batch_sizes) {
    ESCRIBANO_CHECK(compare(model, arguments, frames, batch_size));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  cli::sleep_at_barriers(argv);
  CLI::App app("Decode tokens a second with and without drafts, in turn over the same frames");
  Arguments arguments;
  app.add_option("RECORDING", arguments.recording)->required();
  app.add_option("--interval", arguments.interval_s, "Seconds between frames")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--batch-sizes", arguments.batch_sizes)
      ->delimiter(',')
      ->check(CLI::Range(1, 255))
      ->capture_default_str();
  app.add_option("--frames", arguments.frames, "Only so many from the beginning")->check(CLI::Range(1, 100000));
  app.add_option("--rounds", arguments.rounds, "Times that all frames are described")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--max-tokens", arguments.max_tokens, "Of a frame")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--max-image-tokens", arguments.max_image_tokens)->check(CLI::Range(4, 65536));
  app.add_option("--threads", arguments.threads)->check(CLI::Range(1, 1024));
  app.add_option("--model", arguments.model)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (const Status status = run(arguments); !status) {
    fmt::print(stderr, "drafts_bench: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
