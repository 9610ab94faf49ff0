#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/clock_text.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "base/log.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/dry_run.h"
#include "cli/library.h"
#include "cli/process_progress.h"
#include "cli/report_files.h"
#include "cli/sampling_arguments.h"
#include "cli/services.h"
#include "cli/terminal.h"
#include "pipeline/process.h"
#include "recording/recording_file.h"

namespace escribano::cli {
namespace {

// Some 350 frames of 1280x720: what is described next need not be decoded once more.
constexpr std::size_t kKeptPicturesBytes = std::size_t{64} << 20;

struct ProcessArguments {
  std::vector<std::string> recordings;
  bool force = false;
  bool dry_run = false;
  bool json = false;
  int batch_size = 0;  // 0: from the settings
  std::vector<std::string> formats;
  std::vector<std::string> excluded_apps;
  std::string report_file;
  SamplingArguments sampling;
  VlmArguments vlm;
  LlmArguments llm;
};

// What the recordings of one command share.
class Processing {
 public:
  Processing(const ProcessArguments& arguments, const Environment& environment, Settings settings, std::stop_token stop)
      : arguments_(arguments), environment_(environment), settings_(std::move(settings)), stop_(std::move(stop)) {}

  Result<ExitCode> run(const std::string& recording);

 private:
  ProcessOptions process_options() const;
  Result<NamedService> make_describer(std::size_t frames) const;
  Result<NamedService> make_writer() const;
  // The lock that says who processes a recording.
  Result<FileLock> lock(const RecordingInfo& info) const;
  Status show(Store& store, const ProcessOutcome& outcome) const;

  const ProcessArguments& arguments_;
  const Environment& environment_;
  const Settings settings_;
  const std::stop_token stop_;
};

ProcessOptions Processing::process_options() const {
  ProcessOptions options;
  options.sampling = sampling_options(settings_);
  options.sampling.kept_pictures_bytes = kKeptPicturesBytes;
  options.keep_sampling = has_default_sampling(settings_);
  options.describe.batch_size = settings_.vlm_batch_size.value;
  // The budget of ADR-006 is that of a batch of its default size; a frame alone gets its part, whatever the batch size is.
  options.describe.max_tokens = std::max(1, settings_.vlm_max_tokens.value / 4) * options.describe.batch_size;
  options.max_attempts = settings_.max_attempts.value;
  options.segments.min_segment_s = settings_.min_segment_s.value;
  options.keep_segments = settings_.min_segment_s.is_default();
  options.formats = {settings_.artefact_format.value};
  if (!arguments_.formats.empty()) {
    options.formats.clear();
    for (const std::string& name : arguments_.formats) options.formats.push_back(*artefact_format_from_name(name));
  }
  options.excluded_apps = settings_.exclude_apps.value;
  options.force = arguments_.force;
  options.program = program_name();
  options.stop = stop_;
  options.now = utc_now;
  return options;
}

Result<NamedService> Processing::make_describer(std::size_t frames) const {
  const VlmUse use = {.options = process_options().describe, .frames = frames};
  ESCRIBANO_TRY(ChosenService chosen, make_vlm_service(arguments_.vlm, use, settings_, environment_));
  return NamedService{std::move(chosen.service), std::move(chosen.model)};
}

Result<NamedService> Processing::make_writer() const {
  ESCRIBANO_TRY(ChosenService chosen, make_llm_service(settings_, environment_, arguments_.vlm.threads));
  return NamedService{std::move(chosen.service), std::move(chosen.model)};
}

Result<FileLock> Processing::lock(const RecordingInfo& info) const {
  const std::filesystem::path folder = settings_.home / "locks";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::io_error, "{}: cannot be created: {}", printable(folder), error.message());
  ESCRIBANO_TRY(std::optional<FileLock> lock, FileLock::try_lock(folder / (info.id + ".lock")));
  if (!lock) {
    return fail(Errc::already_running, "{} is being processed by another escribano; wait for it, or stop it",
                printable(info.path));
  }
  return *std::move(lock);
}

std::string summary_of(const ProcessOutcome& outcome) {
  const StoredRecording& recording = outcome.recording;
  std::string text = fmt::format("{}: {} frames, {} described, {} unchanged", recording_name(recording.info),
                                 recording.frames, recording.described, recording.unchanged);
  if (recording.failed > 0) text += fmt::format(", {} without a description", recording.failed);
  text += fmt::format("; {} {}", recording.segments, recording.segments == 1 ? "segment" : "segments");
  if (outcome.tried > 0 && outcome.describe_s > 0) {
    text += fmt::format("; {} described in {} ({:.1f} frames/s)", outcome.tried, human_duration(outcome.describe_s),
                        static_cast<double>(outcome.tried) / outcome.describe_s);
  }
  return text;
}

void list_failures(const ProcessOutcome& outcome, int max_attempts) {
  constexpr std::size_t kShown = 10;
  const auto& failures = outcome.failures;
  for (std::size_t i = 0; i < std::min(failures.size(), kShown); ++i) {
    const Observation& frame = failures[i];
    const std::string reason =
        frame.status == ObservationStatus::failed ? frame.error : "the answer has not the form asked for";
    fmt::print(stderr, "escribano: no description at {}: {} ({})\n", clock_text(frame.timestamp_s), reason,
               frame.attempts >= max_attempts ? fmt::format("given up after {} runs", frame.attempts)
                                              : "the next run tries again");
  }
  if (failures.size() > kShown) {
    fmt::print(stderr, "escribano: and {} more; 'escribano show {} --json' lists them\n", failures.size() - kShown,
               short_id(outcome.recording.info.id));
  }
}

Status Processing::show(Store& store, const ProcessOutcome& outcome) const {
  ESCRIBANO_TRY(Report report, load_report(store, outcome.recording, settings_.exclude_apps.value));
  const std::filesystem::path file = arguments_.report_file.empty()
                                         ? default_report_path(settings_, outcome.recording.info)
                                         : std::filesystem::path(arguments_.report_file);
  ESCRIBANO_CHECK(write_report_file(file, to_html(report)));
  if (arguments_.json) {
    ESCRIBANO_CHECK(print_out(to_json(report)));
  } else {
    std::string texts;
    for (const Artefact& artefact : outcome.artefacts) texts += (texts.empty() ? "" : "\n") + artefact.text;
    ESCRIBANO_CHECK(print_out(texts));
  }
  fmt::print(stderr, "escribano: {}\n", summary_of(outcome));
  list_failures(outcome, settings_.max_attempts.value);
  fmt::print(stderr, "escribano: the report is {}\n", printable(std::filesystem::absolute(file)));
  return {};
}

Result<ExitCode> Processing::run(const std::string& recording) {
  ESCRIBANO_TRY(const std::unique_ptr<FrameSource> source, open_recording(recording));
  if (arguments_.dry_run) {
    ESCRIBANO_CHECK(dry_run(*source, sampling_options(settings_), arguments_.json, stop_));
    return ExitCode::done;
  }
  ESCRIBANO_TRY(const std::unique_ptr<Store> store, open_library(settings_));
  ESCRIBANO_TRY(const FileLock locked, lock(source->info()));
  StepBar bar;
  const ProcessObserver observer = {
      .on_progress = [&](const ProcessProgress& progress) { bar.update(progress); },
      .on_note =
          [&](const std::string& sentence) {
            bar.clear();
            fmt::print(stderr, "escribano: {}: {}\n", recording_name(source->info()), sentence);
          },
  };
  const auto outcome = process_recording(
      *source, *store,
      [&](std::size_t frames) {
        bar.clear();
        return make_describer(frames);
      },
      [&] { return make_writer(); }, process_options(), observer);
  bar.clear();
  if (!outcome && outcome.error().code == Errc::cancelled) {
    fmt::print(stderr, "escribano: interrupted; what was done is kept, and the same command goes on from there\n");
    return ExitCode::interrupted;
  }
  if (!outcome) return fail(outcome.error());
  ESCRIBANO_CHECK(show(*store, *outcome));
  return outcome->failures.empty() ? ExitCode::done : ExitCode::some_frames_failed;
}

Result<Settings> effective_settings(const ProcessArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(Settings settings, Settings::read(environment));
  ESCRIBANO_CHECK(apply(arguments.vlm, settings));
  ESCRIBANO_CHECK(apply(arguments.llm, settings));
  apply(arguments.sampling, settings);
  if (arguments.batch_size > 0) settings.vlm_batch_size.set(arguments.batch_size, "--batch-size");
  if (!arguments.excluded_apps.empty()) {
    std::vector<std::string> apps = settings.exclude_apps.value;
    apps.insert(apps.end(), arguments.excluded_apps.begin(), arguments.excluded_apps.end());
    settings.exclude_apps.set(std::move(apps), "--exclude-app");
  }
  return settings;
}

Result<ExitCode> process(const ProcessArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, effective_settings(arguments, environment));
  if (!arguments.report_file.empty() && arguments.recordings.size() > 1) {
    return fail(Errc::invalid_argument, "--report names one file, and there are {} recordings",
                arguments.recordings.size());
  }
  log::init("VLM", settings.verbose.value ? log::Level::debug : log::Level::warn);
  std::stop_source stop;
  ESCRIBANO_TRY(const SignalWatcher signals,
                SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
  Processing processing(arguments, environment, settings, stop.get_token());
  ExitCode worst = ExitCode::done;
  for (const std::string& recording : arguments.recordings) {
    Result<ExitCode> result = processing.run(recording);
    if (!result && arguments.recordings.size() == 1) return result;
    if (!result) fmt::print(stderr, "escribano: {}\n", result.error().message);
    const ExitCode code = result ? *result : ExitCode::failed;
    if (code == ExitCode::interrupted) return code;
    if (code == ExitCode::failed || worst == ExitCode::done) worst = code;
  }
  return worst;
}

}  // namespace

void add_process_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<ProcessArguments>();
  CLI::App* command =
      app.add_subcommand("process", "From recordings to descriptions, segments, a summary and a report");
  command->footer(
      "The summary goes to standard output. Everything is kept under ESCRIBANO_HOME: a run that was interrupted, in "
      "whatever way, goes on where it was when the same command is given again, and one that is complete costs "
      "nothing. "
      "Exit code 3: some frames could not be described.\n\n"
      "Example:\n  escribano process monday.mp4 > monday.md");
  command->add_option("RECORDING", arguments->recordings, "Video files of any kind")->required()->option_text("...");
  command->add_flag("--dry-run", arguments->dry_run, "Only list which frames would be described, and why");
  command->add_flag("--force", arguments->force, "Forget what is stored about the recording and start over");
  command->add_flag("--json", arguments->json, "Print what is stored as JSON instead of the summary");
  command
      ->add_option("--format", arguments->formats,
                   "What is written: card, standup, narrative, or several, separated by commas "
                   "(default: card, or ESCRIBANO_ARTEFACT_FORMAT)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"card", "standup", "narrative"}))
      ->option_text("FORMAT,...");
  command
      ->add_option("--exclude-app", arguments->excluded_apps,
                   "Leave out what this app shows, from summaries and the report; may be given several times "
                   "(besides ESCRIBANO_EXCLUDE_APPS)")
      ->allow_extra_args(false)
      ->option_text("APP");
  command
      ->add_option("--report", arguments->report_file, "Where the report goes (default: under ESCRIBANO_HOME/reports)")
      ->option_text("FILE");
  command->add_option("--batch-size", arguments->batch_size, "Frames at once (default: 4, or ESCRIBANO_VLM_BATCH_SIZE)")
      ->check(CLI::Range(1, 255))
      ->option_text("N");
  add_sampling_options(*command, arguments->sampling);
  add_vlm_options(*command, arguments->vlm);
  add_llm_options(*command, arguments->llm);
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(process(*arguments, environment)); });
}

}  // namespace escribano::cli
