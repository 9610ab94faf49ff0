#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/log.h"
#include "base/signals.h"
#include "cli/commands.h"
#include "cli/doctor_checks.h"
#include "cli/doctor_report.h"
#include "cli/services.h"
#include "cli/terminal.h"

namespace escribano::cli {
namespace {

using protocol::Mode;

struct DoctorArguments {
  bool json = false;
  VlmArguments vlm;
  LlmArguments llm;
};

// Shows which check is running, and each check as soon as it is done.
class Reporter {
 public:
  explicit Reporter(bool json)
      : json_(json),
        columns_(is_terminal(STDOUT_FILENO) ? static_cast<std::size_t>(std::min(100, terminal_columns(STDOUT_FILENO)))
                                            : 80) {}

  void begin(const char* what) {
    if (!is_terminal(STDERR_FILENO)) return;
    fmt::print(stderr, "\r\033[Kchecking {} ...", what);
    std::fflush(stderr);
    drawn_ = true;
  }
  void clear() {
    if (!std::exchange(drawn_, false)) return;
    fmt::print(stderr, "\r\033[K");
    std::fflush(stderr);
  }
  const Check& add(Check check) {
    clear();
    if (!json_) print(check_text(check, columns_));
    return checks_.emplace_back(std::move(check));
  }
  // Fails with io_error where standard output cannot be written.
  Result<ExitCode> finish() {
    clear();
    print(json_ ? checks_json(checks_) + "\n" : "\n" + checks_summary(checks_) + "\n");
    if (broken_) return fail(Errc::io_error, "standard output cannot be written");
    return any_failed(checks_) ? ExitCode::failed : ExitCode::done;
  }

 private:
  void print(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) broken_ = true;
  }

  bool json_;
  std::size_t columns_;
  bool drawn_ = false;
  bool broken_ = false;
  std::vector<Check> checks_;
};

bool good(const Check& check) { return check.status != CheckStatus::failed; }

// All that follows from the settings. False where it was interrupted.
Result<bool> check_all(Reporter& report, const Settings& settings, const VlmArguments& arguments,
                       const Environment& environment) {
  report.begin("the model");
  const bool model = good(report.add(check_vlm_model(settings, environment, arguments)));
  bool llm_model = model || settings.llm.value != BackendKind::native;
  if (auto check = check_llm_model(settings, environment)) llm_model = good(report.add(*std::move(check)));
  report.begin("the sockets");
  const CheckStatus socket_status = report.add(check_socket(settings, Mode::vlm)).status;
  // Whoever listens there and says nothing would not describe anything either.
  const bool socket = arguments.in_process || socket_status == CheckStatus::ok || socket_status == CheckStatus::skipped;
  const bool llm_socket = good(report.add(check_socket(settings, Mode::llm)));
  report.begin("the backends");
  const bool backend = good(report.add(check_backend(settings, Mode::vlm, arguments.in_process)));
  const bool llm_backend = good(report.add(check_backend(settings, Mode::llm, arguments.in_process)));
  if (auto check = check_unused_ollama(settings)) report.add(*std::move(check));
  std::stop_source stop;
  ESCRIBANO_TRY(const SignalWatcher signals,
                SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
  if (!model || !socket || !backend) {
    report.add(check_skipped("frame", fmt::format("not described: mend the {} first",
                                                  !model ? "model" : (!socket ? "socket" : "vlm-backend"))));
  } else {
    report.begin("whether a frame is described, which takes a while with a large model");
    auto frame = check_frame(settings, environment, arguments, stop.get_token());
    if (!frame) return false;
    report.add(*std::move(frame));
  }
  if (settings.llm.value == BackendKind::none) {
    report.add(check_skipped("text", "no language model is wanted"));
    return true;
  }
  if (!llm_model || !llm_socket || !llm_backend) {
    report.add(check_skipped("text", fmt::format("not written: mend the {} first",
                                                 !llm_model ? "model" : (!llm_socket ? "llm-socket" : "llm-backend"))));
    return true;
  }
  report.begin("whether a text is written");
  auto text = check_writing(settings, environment, stop.get_token());
  if (!text) return false;
  report.add(*std::move(text));
  return true;
}

Result<ExitCode> doctor(const DoctorArguments& arguments, const Environment& environment) {
  Result<Settings> settings = Settings::read(environment);
  if (settings) {
    ESCRIBANO_CHECK(apply(arguments.vlm, *settings));
    ESCRIBANO_CHECK(apply(arguments.llm, *settings));
  }
  log::init("VLM", settings && settings->verbose.value ? log::Level::debug : log::Level::warn);
  Reporter report(arguments.json);
  report.begin("the machine");
  report.add(check_machine());
  report.add(check_libraries());
  if (!good(report.add(check_configuration(settings, environment)))) {
    for (const char* name : {"model", "socket", "llm-socket", "vlm-backend", "llm-backend", "frame", "text"}) {
      report.add(check_skipped(name, "mend the configuration first"));
    }
    return report.finish();
  }
  ESCRIBANO_TRY(const bool complete, check_all(report, *settings, arguments.vlm, environment));
  if (complete) return report.finish();
  report.clear();
  fmt::print(stderr, "escribano: interrupted\n");
  return ExitCode::interrupted;
}

}  // namespace

void add_doctor_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* command =
      app.add_subcommand("doctor", "Check that everything works here, and say how to mend what does not");
  command->footer(
      "Looks at the machine, the libraries, the configuration, the model, the bridge's sockets and the model servers, "
      "has one real picture described the way 'escribano describe' would, and a few words written. Changes "
      "nothing, but for importing a model folder that is used for the first time. Exit code 1: something failed.\n\n"
      "Example:\n  escribano doctor --model demo");
  command->add_flag("--json", arguments->json,
                    "One JSON object: {\"schema\":1,\"checks\":[...],\"ok\":...}, each check with name, status (ok, "
                    "warning, failed, skipped), found, and mend where there is something to do");
  add_vlm_options(*command, arguments->vlm);
  add_llm_options(*command, arguments->llm);
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(doctor(*arguments, environment)); });
}

}  // namespace escribano::cli
