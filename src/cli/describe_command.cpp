#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "format/prompts.h"
#include "protocol/frame_result.h"

namespace escribano::cli {
namespace {

using engine::FrameResult;
using engine::FrameStatus;

struct DescribeArguments {
  std::vector<std::string> images;
  bool json = false;
  bool text = false;
  std::string strategy = "parallel";
  int batch_size = 0;  // 0: from the settings
  int max_tokens = 0;
  int max_image_tokens = 0;
  int threads = 0;
  std::string model;
  std::string projector;
  std::string prompt_file;
  std::vector<double> timestamps;
  float temperature = 0;
  std::uint32_t seed = 0;
  bool unconstrained = false;
  bool verbose = false;
};

// What the engine thread hands to the thread that prints.
struct Event {
  std::optional<FrameResult> frame;
  Status done;
};

escribano::FrameResult to_domain(const FrameResult& result, const engine::FrameInput& frame) {
  const engine::FrameStats& stats = result.stats;
  escribano::FrameResult wire = {
      .index = result.index,
      .timestamp_s = frame.timestamp_s,
      .image_path = frame.path.native(),
      .error = result.error,
      .stats =
          {
              .prompt_tokens = stats.prompt_tokens,
              .generation_tokens = stats.generation_tokens,
              .image_tokens = stats.image_tokens,
              .image_width_px = stats.image_width_px,
              .image_height_px = stats.image_height_px,
              .load_ms = stats.load_ms,
              .encode_ms = stats.encode_ms,
              .prefill_ms = stats.prefill_ms,
              .decode_ms = stats.decode_ms,
              .finish_reason = std::string(engine::finish_reason_name(stats.finish_reason)),
              .attempts = stats.attempts,
              .reused = std::string(engine::reuse_name(stats.reused)),
          },
  };
  if (result.status == FrameStatus::described) {
    wire.description = result.description.description;
    wire.activity = result.description.activity;
    wire.apps = result.description.apps;
    wire.topics = result.description.topics;
  } else if (result.status == FrameStatus::unparsed) {
    wire.raw_response = result.raw;
  }
  return wire;
}

// For people: a heading with what the frame took, then what it shows.
std::string to_text(const FrameResult& result, const engine::FrameInput& frame) {
  const engine::FrameStats& stats = result.stats;
  std::string text = printable(frame.path);
  if (result.status == FrameStatus::failed) return text + "\n  failed: " + result.error->message + "\n";
  const double ms = stats.load_ms + stats.encode_ms + stats.prefill_ms + stats.decode_ms;
  text += fmt::format("  ({}x{}, {} image tokens, {:.2f} s)\n", stats.image_width_px, stats.image_height_px,
                      stats.image_tokens, ms / 1000);
  if (result.status == FrameStatus::unparsed) return text + "  not in the form asked for: " + result.raw + "\n";
  const Description& shown = result.description;
  text += fmt::format("  {}\n  activity: {}   apps: {}   topics: {}\n", shown.description, shown.activity,
                      fmt::join(shown.apps, ", "), fmt::join(shown.topics, ", "));
  if (stats.finish_reason != engine::FinishReason::stop) {
    text += fmt::format("  the answer was cut off ({})\n", engine::finish_reason_name(stats.finish_reason));
  }
  return text;
}

struct Summary {
  std::size_t described = 0;
  std::size_t unparsed = 0;
  std::size_t failed = 0;

  void count(const FrameResult& result) {
    switch (result.status) {
      case FrameStatus::described: ++described; break;
      case FrameStatus::unparsed: ++unparsed; break;
      case FrameStatus::failed: ++failed; break;
    }
  }
  std::size_t total() const { return described + unparsed + failed; }
  std::string sentence(double seconds) const {
    std::string text = fmt::format("{} {} in {:.1f} s", total(), total() == 1 ? "frame" : "frames", seconds);
    if (total() > 1) text += fmt::format(" ({:.1f} frames/s)", static_cast<double>(total()) / seconds);
    if (unparsed > 0) text += fmt::format(", {} not in the form asked for", unparsed);
    if (failed > 0) text += fmt::format(", {} failed", failed);
    return text;
  }
};

bool print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

// Submits the request, prints results as they come, and says how it went.
Result<ExitCode> run_request(engine::Engine& engine, engine::DescribeRequest request, bool json) {
  const std::vector<engine::FrameInput> frames = request.frames;
  BoundedQueue<Event> events(frames.size() + 1);  // never full: the engine thread is not to wait for a terminal
  const auto begin = std::chrono::steady_clock::now();
  ESCRIBANO_TRY(const engine::JobId job, engine.submit(std::move(request), {
                                                                               .on_frame =
                                                                                   [&](const FrameResult& r) {
                                                                                     events.push({r, {}});
                                                                                   },
                                                                               .on_done =
                                                                                   [&](const Status& s) {
                                                                                     events.push({{}, s});
                                                                                   },
                                                                           }));
  ESCRIBANO_TRY(const SignalWatcher signals, SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { engine.cancel(job); }));
  ProgressBar bar(frames.size());
  bar.update(0);
  Summary summary;
  bool output_broken = false;
  Status done;
  while (auto event = events.pop()) {
    if (!event->frame) {
      done = event->done;
      break;
    }
    const FrameResult& result = *event->frame;
    const engine::FrameInput& frame = frames[result.index];
    summary.count(result);
    bar.clear();
    if (result.status == FrameStatus::failed && json) {
      fmt::print(stderr, "escribano: frame {}: {}\n", result.index, result.error->message);
    }
    if (!print(json ? protocol::encode(to_domain(result, frame)) + "\n" : to_text(result, frame)) && !output_broken) {
      output_broken = true;
      engine.cancel(job);
    }
    bar.update(summary.total());
  }
  bar.clear();
  if (output_broken) return fail(Errc::io_error, "standard output cannot be written");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!done && done.error().code == Errc::cancelled) {
    fmt::print(stderr, "escribano: interrupted after {} of {} frames\n", summary.total(), frames.size());
    return ExitCode::interrupted;
  }
  if (!done) return fail(done.error());
  fmt::print(stderr, "escribano: {}\n", summary.sentence(seconds));
  return summary.described == summary.total() ? ExitCode::done : ExitCode::some_frames_failed;
}

Result<engine::DescribeRequest> make_request(const DescribeArguments& arguments, const Settings& settings) {
  engine::DescribeRequest request;
  if (!arguments.timestamps.empty() && arguments.timestamps.size() != arguments.images.size()) {
    return fail(Errc::invalid_argument, "--timestamps has {} values for {} images", arguments.timestamps.size(),
                arguments.images.size());
  }
  for (std::size_t i = 0; i < arguments.images.size(); ++i) {
    const double timestamp_s = arguments.timestamps.empty() ? static_cast<double>(i) : arguments.timestamps[i];
    request.frames.push_back({.path = arguments.images[i], .image = nullptr, .timestamp_s = timestamp_s});
  }
  const bool parallel = arguments.strategy == "parallel";
  request.strategy = parallel ? engine::Strategy::parallel : engine::Strategy::interleaved;
  request.batch_size = arguments.batch_size > 0 ? arguments.batch_size : settings.vlm_batch_size.value;
  if (arguments.max_tokens > 0) {
    request.max_tokens = arguments.max_tokens;
  } else {
    // The budget of ADR-006 is that of a batch of its default size; a frame alone gets its part, whatever --batch-size is.
    request.max_tokens = parallel ? std::max(1, settings.vlm_max_tokens.value / 4) : settings.vlm_max_tokens.value;
  }
  if (!arguments.prompt_file.empty()) {
    ESCRIBANO_TRY(request.prompt, read_text_file(arguments.prompt_file, 64 << 10));
    if (request.prompt.empty()) return fail(Errc::invalid_argument, "{} is empty", arguments.prompt_file);
  }
  request.sampling = {.temperature = arguments.temperature, .seed = arguments.seed};
  request.constrained = !arguments.unconstrained;
  return request;
}

Result<ExitCode> describe(const DescribeArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(Settings settings, Settings::read(environment));
  if (!arguments.model.empty()) settings.vlm_model.set(arguments.model, "--model");
  if (arguments.verbose) settings.verbose.set(true, "--verbose");
  log::init("VLM", settings.verbose.value ? log::Level::debug : log::Level::warn);

  ESCRIBANO_TRY(engine::DescribeRequest request, make_request(arguments, settings));
  ESCRIBANO_TRY(const ChosenModel model, choose_model(settings, environment, arguments.projector));
  const EngineSetup setup = {
      .strategy = request.strategy,
      .frames = static_cast<int>(request.frames.size()),
      .batch_size = request.batch_size,
      .max_tokens = request.max_tokens,
      .prompt_bytes = static_cast<int>(std::max(request.prompt.size(), builtin_prompt(PromptKind::batch).size())),
      .max_image_tokens = arguments.max_image_tokens,
      .threads = arguments.threads,
  };
  ESCRIBANO_TRY(const std::unique_ptr<engine::Engine> engine, start_engine(model, setup));
  const bool json = arguments.json || (!arguments.text && !is_terminal(STDOUT_FILENO));
  return run_request(*engine, std::move(request), json);
}

}  // namespace

void add_describe_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<DescribeArguments>();
  CLI::App* command = app.add_subcommand("describe", "Describe images: what is shown, the activity, apps and topics");
  command->footer(
      "Results go to standard output in the order of the images, each as soon as it and those before it are ready: "
      "one\n"
      "JSON object a line, or readable text on a terminal. Exit code 3: some images could not be described.\n\n"
      "Example:\n  escribano describe --json screenshots/*.png > frames.ndjson");
  command->add_option("IMAGE", arguments->images, "JPEG, PNG or WebP files")->required()->option_text("FILE...");
  command->add_flag("--json", arguments->json, "One JSON object a line, also on a terminal");
  command->add_flag("--text", arguments->text, "Readable text, also into a file or pipe")->excludes("--json");
  command
      ->add_option("--strategy", arguments->strategy,
                   "parallel: each image in a sequence of its own, the text never depends on the others;\n"
                   "interleaved: several labelled images in one prompt (default: parallel)")
      ->check(CLI::IsMember({"parallel", "interleaved"}))
      ->option_text("parallel|interleaved");
  command->add_option("--batch-size", arguments->batch_size, "Images at once (default: 4, or ESCRIBANO_VLM_BATCH_SIZE)")
      ->check(CLI::Range(1, 255))
      ->option_text("N");
  command
      ->add_option("--model", arguments->model,
                   "A .gguf file, a model folder, a hub name, or 'demo' (default: ESCRIBANO_VLM_MODEL)")
      ->option_text("MODEL");
  command->add_option("--mmproj", arguments->projector, "The projector of a .gguf model, if not beside it")
      ->option_text("FILE");
  command->add_option("--prompt-file", arguments->prompt_file, "Ask this instead of the built-in prompt")
      ->check(CLI::ExistingFile)
      ->option_text("FILE");
  command->add_option("--timestamps", arguments->timestamps, "Seconds of each image, separated by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->option_text("T,T,...");
  command
      ->add_option(
          "--max-tokens", arguments->max_tokens,
          "Longest answer in tokens: of an image (parallel; default: 500)\nor of a batch (interleaved; default: 2000)")
      ->check(CLI::Range(1, 1'000'000))
      ->option_text("N");
  command
      ->add_option("--max-image-tokens", arguments->max_image_tokens,
                   "Shrink images to this many tokens (default: the model's own limit)")
      ->check(CLI::Range(4, 65536))
      ->option_text("N");
  command
      ->add_option("--temperature", arguments->temperature,
                   "Above 0 the likeliest word is not always taken (default: 0)")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text("T");
  command->add_option("--seed", arguments->seed, "For temperatures above 0 (default: 0)")->option_text("N");
  command->add_option("--threads", arguments->threads, "Compute threads (default: one for each processor)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  command->add_flag("--unconstrained", arguments->unconstrained, "Let the model leave the answer format");
  command->add_flag("-v,--verbose", arguments->verbose, "Log what happens to standard error");
  command->callback([arguments, environment, &exit_code] {
    const Result<ExitCode> result = describe(*arguments, environment);
    if (result) {
      exit_code = *result;
      return;
    }
    fmt::print(stderr, "escribano: {}\n", result.error().message);
    exit_code = result.error().code == Errc::invalid_argument ? ExitCode::usage : ExitCode::failed;
  });
}

}  // namespace escribano::cli
