#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/log.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/library.h"
#include "cli/report_files.h"
#include "cli/services.h"
#include "pipeline/artefacts.h"

namespace escribano::cli {
namespace {

struct ReportArguments {
  std::string recording;
  std::string format = "html";
  std::string output;
  std::vector<std::string> excluded_apps;
  bool rewrite = false;
  bool verbose = false;
  int threads = 0;
  LlmArguments llm;
};

// A text of a language model: as it is stored, or written now.
Result<std::string> write_text(Store& store, const StoredRecording& recording, ArtefactFormat format,
                               const ReportArguments& arguments, const Settings& settings,
                               const Environment& environment) {
  std::stop_source stop;
  ESCRIBANO_TRY(const SignalWatcher signals,
                SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
  const ArtefactOptions options = {.format = format,
                                   .excluded_apps = settings.exclude_apps.value,
                                   .keep = !arguments.rewrite,
                                   .rewrite = arguments.rewrite,
                                   .stop = stop.get_token(),
                                   .now = utc_now};
  ESCRIBANO_TRY(const Artefact artefact,
                write_artefact(
                    store, recording,
                    [&]() -> Result<NamedService> {
                      ESCRIBANO_TRY(ChosenService chosen, make_llm_service(settings, environment, arguments.threads));
                      return NamedService{std::move(chosen.service), std::move(chosen.model)};
                    },
                    options, [](const std::string& note) { fmt::print(stderr, "escribano: {}\n", note); }));
  return artefact.text;
}

Result<std::string> render(Store& store, const StoredRecording& recording, const ReportArguments& arguments,
                           const Settings& settings, const Environment& environment) {
  if (const auto format = artefact_format_from_name(arguments.format)) {
    return write_text(store, recording, *format, arguments, settings, environment);
  }
  ESCRIBANO_TRY(const Report report, load_report(store, recording, settings.exclude_apps.value));
  if (arguments.format == "json") return to_json(report);
  if (arguments.format == "markdown") return to_markdown(report);
  if (arguments.format == "srt") return to_srt(report);
  return to_html(report);
}

Result<ExitCode> report(const ReportArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(Settings settings, Settings::read(environment));
  ESCRIBANO_CHECK(apply(arguments.llm, settings));
  if (!arguments.excluded_apps.empty()) {
    std::vector<std::string> apps = settings.exclude_apps.value;
    apps.insert(apps.end(), arguments.excluded_apps.begin(), arguments.excluded_apps.end());
    settings.exclude_apps.set(std::move(apps), "--exclude-app");
  }
  if (arguments.verbose) settings.verbose.set(true, "--verbose");
  log::init("VLM", settings.verbose.value ? log::Level::debug : log::Level::warn);
  ESCRIBANO_TRY(const std::unique_ptr<Store> store, open_library(settings));
  ESCRIBANO_TRY(const StoredRecording recording, find_recording(*store, arguments.recording));
  const Result<std::string> text = render(*store, recording, arguments, settings, environment);
  if (!text && text.error().code == Errc::cancelled) {
    fmt::print(stderr, "escribano: interrupted\n");
    return ExitCode::interrupted;
  }
  if (!text) return fail(text.error());
  const bool to_file = arguments.format == "html" ? arguments.output != "-" : !arguments.output.empty();
  if (!to_file || arguments.output == "-") {
    ESCRIBANO_CHECK(print_out(*text));
    return ExitCode::done;
  }
  const std::filesystem::path file = arguments.output.empty() ? default_report_path(settings, recording.info)
                                                              : std::filesystem::path(arguments.output);
  ESCRIBANO_CHECK(write_report_file(file, *text));
  fmt::print(stderr, "escribano: the report is {}\n", printable(std::filesystem::absolute(file)));
  return ExitCode::done;
}

}  // namespace

void add_report_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand("report", "A page, summary or other form of a recording that was processed");
  command->footer(
      "html is a page for any browser that needs no network; it goes to a file, everything else to standard output. "
      "card, standup and narrative are written by the language model where they are not stored yet; json is a stable "
      "interface (docs/report.md).\n\n"
      "Example:\n  escribano report monday.mp4 --format standup");
  command->add_option("RECORDING|ID", arguments->recording, "A recording, or its id from 'escribano list'")->required();
  command->add_option("--format", arguments->format, "What to make (default: html)")
      ->check(CLI::IsMember({"html", "card", "standup", "narrative", "json", "markdown", "srt"}))
      ->option_text("html|card|standup|narrative|json|markdown|srt");
  command->add_option("-o,--output", arguments->output, "Write to this file; - is standard output")
      ->option_text("FILE");
  command
      ->add_option("--exclude-app", arguments->excluded_apps,
                   "Leave out what this app shows; may be given several times (besides ESCRIBANO_EXCLUDE_APPS)")
      ->allow_extra_args(false)
      ->option_text("APP");
  command->add_flag("--rewrite", arguments->rewrite, "Write the text again, although it is stored");
  command->add_option("--threads", arguments->threads, "Compute threads (default: one for each processor)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  add_llm_options(*command, arguments->llm);
  command->add_flag("-v,--verbose", arguments->verbose, "Log what happens to standard error");
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(report(*arguments, environment)); });
}

}  // namespace escribano::cli
