// Where the time of describing N frames goes: seconds and tokens for image load, vision, prefill and decode, and peak
// resident memory. Frames are taken in turn from the pictures given; none is answered from a cache.
//
//   build/release/bin/stages --frames 32 --batch-size 4 assets/samples/frames/*
//
// With --tokens every answer has that many tokens: the model writes freely (engine::GenerateRequest), since a described
// frame whose answer is cut off is given more room. Only an end of turn or a loop ends an answer before.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/model_setup.h"
#include "cli/openmp_wait.h"
#include "engine/engine.h"
#include "format/prompts.h"

namespace {

using escribano::Result;
using escribano::Status;
namespace cli = escribano::cli;
namespace engine = escribano::engine;

constexpr int kWarmUpTokens = 8;

struct Arguments {
  std::vector<std::string> images;
  int frames = 32;
  int batch_size = 4;
  int max_tokens = 500;
  int tokens = 0;  // of every answer to a frame; 0: until the model ends it
  int max_image_tokens = 0;
  int threads = 0;
  bool no_kernels = false;
  engine::Precision precision = engine::Precision::exact;
  bool patches = false;
  std::string model = "demo";
  std::string projector;
  std::string strategy = "parallel";
  bool drafts = false;
  std::string warm_up;
  bool unconstrained = false;
  bool json = false;
  bool files = false;

  bool parallel() const { return strategy == "parallel"; }
  int frames_a_prompt() const { return parallel() ? 1 : batch_size; }
};

// One prompt's answer; a frame's in the parallel strategy.
struct Answer {
  std::string text;
  std::string finish;
  int prompt_tokens = 0;
  int generation_tokens = 0;
  int image_tokens = 0;  // not known of free answers
};

struct Measured {
  double loading_s = 0;  // of the model
  double wall_s = 0;
  int prompts = 0;
  engine::EngineCounters counters;
  std::vector<Answer> answers;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double peak_memory_mb() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
#endif
}

std::vector<engine::FrameInput> frames_of(const Arguments& arguments) {
  std::vector<engine::FrameInput> frames;
  for (int i = 0; i < arguments.frames; ++i) {
    const std::string& image = arguments.images[static_cast<std::size_t>(i) % arguments.images.size()];
    frames.push_back({.path = image, .image = nullptr, .timestamp_s = static_cast<double>(i)});
  }
  return frames;
}

Result<std::vector<Answer>> describe(engine::Engine& engine, const Arguments& arguments,
                                     std::vector<engine::FrameInput> frames) {
  engine::DescribeRequest request;
  request.frames = std::move(frames);
  request.strategy = arguments.parallel() ? engine::Strategy::parallel : engine::Strategy::interleaved;
  request.batch_size = arguments.batch_size;
  request.max_tokens = arguments.max_tokens * arguments.frames_a_prompt();
  request.constrained = !arguments.unconstrained;
  std::vector<Answer> answers;
  std::promise<Status> done;
  const auto on_frame = [&](const engine::FrameResult& frame) {
    answers.push_back({.text = frame.raw,
                       .finish = std::string(finish_reason_name(frame.stats.finish_reason)),
                       .prompt_tokens = frame.stats.prompt_tokens,
                       .generation_tokens = frame.stats.generation_tokens,
                       .image_tokens = frame.stats.image_tokens});
  };
  const auto on_done = [&](const Status& status) { done.set_value(status); };
  ESCRIBANO_CHECK(engine.submit(std::move(request), {.on_frame = on_frame, .on_done = on_done}));
  ESCRIBANO_CHECK(done.get_future().get());
  return answers;
}

// The conversation that asks what a description asks.
Result<engine::GenerateRequest> question(const Arguments& arguments, std::span<const engine::FrameInput> frames) {
  engine::ChatMessage message = {.role = "user", .parts = {}};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!arguments.parallel()) {
      message.parts.emplace_back(escribano::frame_label(static_cast<int>(i) + 1, frames[i].timestamp_s));
    }
    message.parts.emplace_back(frames[i]);
  }
  const auto kind = arguments.parallel() ? escribano::PromptKind::single : escribano::PromptKind::batch;
  ESCRIBANO_TRY(std::string text, escribano::fill(builtin_prompt(kind), {{"n", std::to_string(frames.size())}}));
  message.parts.emplace_back(std::move(text));
  engine::GenerateRequest request;
  request.messages.push_back(std::move(message));
  request.max_tokens = arguments.tokens * static_cast<int>(frames.size());
  return request;
}

Result<std::vector<Answer>> generate(engine::Engine& engine, const Arguments& arguments,
                                     std::span<const engine::FrameInput> frames) {
  std::vector<std::future<Result<engine::GenerateResult>>> waiting;
  const auto size = static_cast<std::size_t>(arguments.frames_a_prompt());
  for (std::size_t i = 0; i < frames.size(); i += size) {
    ESCRIBANO_TRY(auto request, question(arguments, frames.subspan(i, std::min(size, frames.size() - i))));
    auto done = std::make_shared<std::promise<Result<engine::GenerateResult>>>();
    waiting.push_back(done->get_future());
    ESCRIBANO_CHECK(engine.submit(std::move(request), [done](const auto& result) { done->set_value(result); }));
  }
  std::vector<Answer> answers;
  for (auto& future : waiting) {
    ESCRIBANO_TRY(engine::GenerateResult result, future.get());
    answers.push_back({.text = std::move(result.text),
                       .finish = std::string(finish_reason_name(result.stats.finish_reason)),
                       .prompt_tokens = result.stats.prompt_tokens,
                       .generation_tokens = result.stats.generation_tokens});
  }
  return answers;
}

Result<std::vector<Answer>> answer(engine::Engine& engine, const Arguments& arguments,
                                   std::vector<engine::FrameInput> frames) {
  if (arguments.tokens > 0) return generate(engine, arguments, frames);
  return describe(engine, arguments, std::move(frames));
}

engine::EngineCounters since(const engine::EngineCounters& before, engine::EngineCounters counters) {
  counters.frames_described -= before.frames_described;
  counters.frames_unparsed -= before.frames_unparsed;
  counters.frames_failed -= before.frames_failed;
  counters.prompt_tokens -= before.prompt_tokens;
  counters.generation_tokens -= before.generation_tokens;
  counters.decode_steps -= before.decode_steps;
  counters.load_s -= before.load_s;
  counters.image_tokens_encoded -= before.image_tokens_encoded;
  counters.encode_s -= before.encode_s;
  counters.prefill_s -= before.prefill_s;
  counters.decode_s -= before.decode_s;
  return counters;
}

Result<Measured> measure(engine::Engine& engine, const Arguments& arguments) {
  if (!arguments.warm_up.empty()) {
    Arguments few = arguments;
    few.tokens = kWarmUpTokens;
    ESCRIBANO_TRY([[maybe_unused]] const auto unmeasured,
                  answer(engine, few, {{.path = arguments.warm_up, .image = nullptr}}));
  }
  Measured measured;
  const engine::EngineCounters before = engine.counters();
  const auto begin = Clock::now();
  ESCRIBANO_TRY(measured.answers, answer(engine, arguments, frames_of(arguments)));
  measured.wall_s = seconds_since(begin);
  measured.counters = since(before, engine.counters());
  return measured;
}

void print_row(const char* stage, double seconds, double wall_s, int frames, std::uint64_t tokens) {
  fmt::print("| {:<10} | {:>8.3f} | {:>5.1f} | {:>8.1f} | {:>8} | {:>8} |\n", stage, seconds, 100 * seconds / wall_s,
             1000 * seconds / frames, tokens,
             tokens > 0 ? fmt::format("{:.0f}", static_cast<double>(tokens) / seconds) : "");
}

void print_table(const Arguments& arguments, const engine::Engine& engine, const Measured& measured) {
  const engine::EngineCounters& counters = measured.counters;
  fmt::print("{} frames, {}, batch {}, {} slots of {} tokens; {} described, {} unparsed, {} failed\n\n",
             arguments.frames, arguments.strategy, arguments.batch_size, engine.slots(), engine.context_tokens(),
             counters.frames_described, counters.frames_unparsed, counters.frames_failed);
  fmt::print("| {:<10} | {:>8} | {:>5} | {:>8} | {:>8} | {:>8} |\n", "stage", "s", "%", "ms/frame", "tokens",
             "tokens/s");
  fmt::print("|------------|----------|-------|----------|----------|----------|\n");
  print_row("image load", counters.load_s, measured.wall_s, arguments.frames, 0);
  const std::uint64_t image_tokens = std::accumulate(
      measured.answers.begin(), measured.answers.end(), std::uint64_t{0},
      [](std::uint64_t sum, const Answer& a) { return sum + static_cast<std::uint64_t>(a.image_tokens); });
  print_row("vision", counters.encode_s, measured.wall_s, arguments.frames, image_tokens);
  print_row("prefill", counters.prefill_s, measured.wall_s, arguments.frames, counters.prompt_tokens);
  print_row("decode", counters.decode_s, measured.wall_s, arguments.frames, counters.generation_tokens);
  print_row("all", measured.wall_s, measured.wall_s, arguments.frames, 0);
  fmt::print("\n{:.2f} frames/s; {} decode steps; model loaded in {:.2f} s; peak resident memory {:.0f} MB\n",
             arguments.frames / measured.wall_s, counters.decode_steps, measured.loading_s, peak_memory_mb());
  fmt::print("{} of {} image tokens encoded\n", counters.image_tokens_encoded, image_tokens);
  fmt::print("{} tokens drafted, {} of them accepted\n", counters.drafted_tokens, counters.accepted_tokens);
  fmt::print("(images are loaded beside the other stages, so that row is not part of the sum)\n");
}

void print_json(const engine::Engine& engine, const Measured& measured) {
  const engine::EngineCounters& counters = measured.counters;
  nlohmann::json answers = nlohmann::json::array();
  for (const Answer& answer : measured.answers) {
    answers.push_back({{"text", answer.text},
                       {"finish", answer.finish},
                       {"prompt_tokens", answer.prompt_tokens},
                       {"generation_tokens", answer.generation_tokens}});
  }
  const nlohmann::json all = {
      {"wall_s", measured.wall_s},
      {"load_s", counters.load_s},
      {"vision_s", counters.encode_s},
      {"image_tokens_encoded", counters.image_tokens_encoded},
      {"prefill_s", counters.prefill_s},
      {"decode_s", counters.decode_s},
      {"decode_steps", counters.decode_steps},
      {"prompt_tokens", counters.prompt_tokens},
      {"generation_tokens", counters.generation_tokens},
      {"frames_unparsed", counters.frames_unparsed},
      {"frames_failed", counters.frames_failed},
      {"slots", engine.slots()},
      {"prompts", measured.prompts},
      {"loading_s", measured.loading_s},
      {"peak_memory_mb", peak_memory_mb()},
      {"answers", std::move(answers)},
  };
  fmt::print("{}\n", all.dump());
}

// How many prompts the frames take. The engine splits batches beyond what a model was trained for.
int prompts(const Arguments& arguments, const escribano::ModelInfo& info) {
  int size = arguments.frames_a_prompt();
  if (arguments.tokens == 0) {
    const int most = engine::EngineOptions{}.max_frames_per_prompt;
    size = std::min(size, info.max_frames_per_prompt ? static_cast<int>(*info.max_frames_per_prompt) : most);
  }
  return (arguments.frames + size - 1) / size;
}

Status run(const Arguments& arguments) {
  ESCRIBANO_TRY(cli::Settings settings, cli::Settings::read(cli::process_environment()));
  settings.vlm_model.set(arguments.model, "--model");
  ESCRIBANO_TRY(const cli::ChosenModel model,
                cli::choose_model(settings, cli::process_environment(), arguments.projector));
  if (arguments.files) {
    const nlohmann::json files = {{"model", model.files.model.native()}, {"projector", model.files.projector.native()}};
    fmt::print("{}\n", files.dump());
    return {};
  }
  const cli::EngineSetup setup = {
      .strategy = arguments.parallel() ? engine::Strategy::parallel : engine::Strategy::interleaved,
      .frames = arguments.frames,
      .batch_size = arguments.batch_size,
      .max_tokens = std::max(arguments.max_tokens, arguments.tokens) * arguments.frames_a_prompt(),
      .prompt_bytes = static_cast<int>(builtin_prompt(escribano::PromptKind::batch).size()),
      .max_image_tokens = arguments.max_image_tokens,
      .threads = arguments.threads,
      .kernels = !arguments.no_kernels,
      .precision = arguments.precision,
      .patches = arguments.patches,
      .drafts = arguments.drafts,
      .reuse = {.kind = cli::ReuseKind::none},
  };
  const auto loading = Clock::now();
  ESCRIBANO_TRY(const std::unique_ptr<engine::Engine> engine, cli::start_engine(model, setup));
  const double loading_s = seconds_since(loading);
  ESCRIBANO_TRY(Measured measured, measure(*engine, arguments));
  measured.loading_s = loading_s;
  measured.prompts = prompts(arguments, model.info);
  if (arguments.json) {
    print_json(*engine, measured);
  } else {
    print_table(arguments, *engine, measured);
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  cli::sleep_at_barriers(argv);
  CLI::App app("Seconds and tokens by stage of describing frames");
  Arguments arguments;
  app.add_option("IMAGE", arguments.images, "Pictures to take the frames from, in turn");
  app.add_option("--frames", arguments.frames)->check(CLI::Range(1, 100000))->capture_default_str();
  app.add_option("--batch-size", arguments.batch_size)->check(CLI::Range(1, 255))->capture_default_str();
  app.add_option("--max-tokens", arguments.max_tokens, "Of a frame")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--tokens", arguments.tokens, "Of every frame's answer, written freely")->check(CLI::Range(1, 100000));
  app.add_option("--max-image-tokens", arguments.max_image_tokens)->check(CLI::Range(4, 65536));
  app.add_option("--threads", arguments.threads)->check(CLI::Range(1, 1024));
  app.add_flag("--no-kernels", arguments.no_kernels, "As llama.cpp computes by itself");
  app.add_option("--products", arguments.precision, "What vision and prefill multiply in")
      ->transform(CLI::CheckedTransformer(std::map<std::string, engine::Precision>{
          {"exact", engine::Precision::exact}, {"bf16", engine::Precision::bf16}, {"int8", engine::Precision::int8}}));
  app.add_flag("--patches", arguments.patches, "Compute only those that changed since the frame before");
  app.add_option("--model", arguments.model)->capture_default_str();
  app.add_option("--mmproj", arguments.projector, "The projector of a .gguf model, if not beside it");
  app.add_option("--strategy", arguments.strategy)
      ->check(CLI::IsMember({"parallel", "interleaved"}))
      ->capture_default_str();
  app.add_option("--warm-up", arguments.warm_up, "A picture to describe first, unmeasured");
  app.add_flag("--unconstrained", arguments.unconstrained);
  app.add_flag("--json", arguments.json, "One JSON object with the answers in place of the table");
  app.add_flag("--files", arguments.files, "Only say as JSON which files the model is; a folder is imported first");
  app.add_flag(
      "--drafts", arguments.drafts,
      "Draft tokens from the texts of other frames: frames that are taken in turn come again, and so do texts");
  CLI11_PARSE(app, argc, argv);
  if (arguments.images.empty() && !arguments.files) return app.exit(CLI::RequiredError("IMAGE"));
  if (const Status status = run(arguments); !status) {
    fmt::print(stderr, "stages: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
