#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/services.h"
#include "cli/terminal.h"
#include "domain/intelligence_service.h"
#include "protocol/frame_result.h"

namespace escribano::cli {
namespace {

struct DescribeArguments {
  std::vector<std::string> images;
  bool json = false;
  bool text = false;
  std::string strategy = "parallel";
  int batch_size = 0;  // 0: from the settings
  int max_tokens = 0;
  std::string prompt_file;
  std::vector<double> timestamps;
  float temperature = 0;
  VlmArguments vlm;
};

// For people: a heading with what the frame took, then what it shows.
std::string to_text(const FrameResult& result) {
  const FrameStats& stats = result.stats;
  std::string text = printable(result.image_path);
  if (result.error) return text + "\n  failed: " + result.error->message + "\n";
  const double ms = stats.load_ms + stats.encode_ms + stats.prefill_ms + stats.decode_ms;
  if (stats.image_tokens > 0) {
    text += fmt::format("  ({}x{}, {} image tokens, {:.2f} s)", stats.image_width_px, stats.image_height_px,
                        stats.image_tokens, ms / 1000);
  }
  text += "\n";
  if (result.raw_response) return text + "  not in the form asked for: " + *result.raw_response + "\n";
  text += fmt::format("  {}\n  activity: {}   apps: {}   topics: {}\n", result.description, result.activity,
                      fmt::join(result.apps, ", "), fmt::join(result.topics, ", "));
  if (stats.finish_reason != "stop") text += fmt::format("  the answer was cut off ({})\n", stats.finish_reason);
  return text;
}

struct Summary {
  std::size_t described = 0;
  std::size_t unparsed = 0;
  std::size_t failed = 0;

  void count(const FrameResult& result) {
    switch (result.status()) {
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

// Prints results as they come, and says how it went.
Result<ExitCode> run_request(IntelligenceService& service, const std::vector<Frame>& frames, DescribeOptions options,
                             const std::vector<std::string>& names, bool json) {
  std::stop_source stop;
  options.stop = stop.get_token();
  ESCRIBANO_TRY(const SignalWatcher signals,
                SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
  const auto begin = std::chrono::steady_clock::now();
  ProgressBar bar(frames.size());
  bar.update(0);
  Summary summary;
  bool output_broken = false;
  const DescribeOutcome outcome = service.describe_images(frames, options, [&](FrameResult result, const Progress&) {
    result.image_path = names[result.index];  // as it was typed
    summary.count(result);
    bar.clear();
    if (result.error && json) {
      fmt::print(stderr, "escribano: frame {}: {}\n", result.index, result.error->message);
    }
    if (!print(json ? protocol::encode(result) + "\n" : to_text(result)) && !output_broken) {
      output_broken = true;
      stop.request_stop();
    }
    bar.update(summary.total());
  });
  bar.clear();
  if (output_broken) return fail(Errc::io_error, "standard output cannot be written");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!outcome.status && outcome.status.error().code == Errc::cancelled) {
    fmt::print(stderr, "escribano: interrupted after {} of {} frames\n", summary.total(), frames.size());
    return ExitCode::interrupted;
  }
  if (!outcome.status) {
    if (summary.total() > 0) {
      fmt::print(stderr, "escribano: {} of {} frames were done\n", summary.total(), frames.size());
    }
    return fail(outcome.status.error());
  }
  fmt::print(stderr, "escribano: {}\n", summary.sentence(seconds));
  return summary.described == summary.total() ? ExitCode::done : ExitCode::some_frames_failed;
}

Result<std::vector<Frame>> make_frames(const DescribeArguments& arguments) {
  if (!arguments.timestamps.empty() && arguments.timestamps.size() != arguments.images.size()) {
    return fail(Errc::invalid_argument, "--timestamps has {} values for {} images", arguments.timestamps.size(),
                arguments.images.size());
  }
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < arguments.images.size(); ++i) {
    const double timestamp_s = arguments.timestamps.empty() ? static_cast<double>(i) : arguments.timestamps[i];
    if (!std::isfinite(timestamp_s)) {
      return fail(Errc::invalid_argument, "timestamp {} of --timestamps is {}; it must be a number of seconds", i + 1,
                  timestamp_s);
    }
    // The bridge has a working folder of its own.
    frames.push_back({.path = std::filesystem::absolute(arguments.images[i]), .timestamp_s = timestamp_s});
  }
  return frames;
}

Result<DescribeOptions> make_options(const DescribeArguments& arguments, const Settings& settings) {
  DescribeOptions options;
  const bool parallel = arguments.strategy == "parallel";
  options.strategy = parallel ? DescribeStrategy::parallel : DescribeStrategy::interleaved;
  options.batch_size = settings.vlm_batch_size.value;
  if (!parallel) {
    options.max_tokens = arguments.max_tokens > 0 ? arguments.max_tokens : settings.vlm_max_tokens.value;
  } else if (arguments.max_tokens > 0) {
    options.max_tokens = arguments.max_tokens * options.batch_size;
  } else {
    // The budget of ADR-006 is that of a batch of its default size; a frame alone gets its part, whatever --batch-size is.
    options.max_tokens = std::max(1, settings.vlm_max_tokens.value / 4) * options.batch_size;
  }
  if (!arguments.prompt_file.empty()) {
    ESCRIBANO_TRY(options.prompt, read_text_file(arguments.prompt_file, 64 << 10));
    if (options.prompt.empty()) return fail(Errc::invalid_argument, "{} is empty", arguments.prompt_file);
  }
  options.temperature = arguments.temperature;
  return options;
}

Result<ExitCode> describe(const DescribeArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(Settings settings, Settings::read(environment));
  ESCRIBANO_CHECK(apply(arguments.vlm, settings));
  if (arguments.batch_size > 0) settings.vlm_batch_size.set(arguments.batch_size, "--batch-size");
  log::init("VLM", settings.verbose.value ? log::Level::debug : log::Level::warn);

  ESCRIBANO_TRY(const std::vector<Frame> frames, make_frames(arguments));
  ESCRIBANO_TRY(DescribeOptions options, make_options(arguments, settings));
  const VlmUse use = {.options = options, .frames = frames.size()};
  ESCRIBANO_TRY(const ChosenService chosen, make_vlm_service(arguments.vlm, use, settings, environment));
  const bool json = arguments.json || (!arguments.text && !is_terminal(STDOUT_FILENO));
  return run_request(*chosen.service, frames, std::move(options), arguments.images, json);
}

}  // namespace

void add_describe_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<DescribeArguments>();
  CLI::App* command = app.add_subcommand("describe", "Describe images: what is shown, the activity, apps and topics");
  command->footer(
      "Results go to standard output in the order of the images, each as soon as it and those before it are ready: one "
      "JSON object a line, or readable text on a terminal. Exit code 3: some images could not be described.\n\n"
      "Example:\n  escribano describe --json screenshots/*.png > frames.ndjson");
  command->add_option("IMAGE", arguments->images, "JPEG, PNG or WebP files")->required()->option_text("...");
  command->add_flag("--json", arguments->json, "One JSON object a line, also on a terminal");
  command->add_flag("--text", arguments->text, "Readable text, also into a file or pipe")->excludes("--json");
  command
      ->add_option("--strategy", arguments->strategy,
                   "parallel: each image in a sequence of its own, the text never depends on the others; "
                   "interleaved: several labelled images in one prompt (default: parallel)")
      ->check(CLI::IsMember({"parallel", "interleaved"}))
      ->option_text("parallel|interleaved");
  command->add_option("--batch-size", arguments->batch_size, "Images at once (default: 4, or ESCRIBANO_VLM_BATCH_SIZE)")
      ->check(CLI::Range(1, 255))
      ->option_text("N");
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
          "Longest answer in tokens: of an image (parallel; default: 500) or of a batch (interleaved; default: 2000)")
      ->check(CLI::Range(1, 1'000'000))
      ->option_text("N");
  command
      ->add_option("--temperature", arguments->temperature,
                   "Above 0 the likeliest word is not always taken (default: 0)")
      ->check(CLI::Range(0.0, 10.0))
      ->option_text("T");
  add_vlm_options(*command, arguments->vlm);
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(describe(*arguments, environment)); });
}

}  // namespace escribano::cli
