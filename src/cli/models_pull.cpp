#include "cli/models_pull.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stop_token>

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/signals.h"
#include "cli/library.h"
#include "cli/model_setup.h"
#include "cli/models_command.h"
#include "cli/terminal.h"
#include "http/http.h"

namespace escribano::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Stage = hub::PullProgress::Stage;

constexpr std::chrono::seconds kBetweenLines{10};

struct PullArguments {
  std::string name;
  bool no_import = false;
};

std::string value_of(const Environment& environment, const char* name) { return environment(name).value_or(""); }

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

// Where the tools of Hugging Face keep the token of who logged in.
fs::path token_file(const Environment& environment) {
  if (const std::string path = value_of(environment, "HF_TOKEN_PATH"); !path.empty()) return path;
  if (const std::string home = value_of(environment, "HF_HOME"); !home.empty()) return fs::path(home) / "token";
  if (const std::string home = value_of(environment, "HOME"); !home.empty()) {
    return fs::path(home) / ".cache" / "huggingface" / "token";
  }
  return {};
}

// In place on a terminal; otherwise a line now and then.
class PullBar {
 public:
  void update(const hub::PullProgress& progress) {
    const Clock::time_point now = Clock::now();
    if (stage_ != progress.stage) {
      stage_ = progress.stage;
      begin_ = told_ = now;
    }
    if (progress.stage == Stage::listing) return;
    const double elapsed_s = std::chrono::duration<double>(now - begin_).count();
    if (is_terminal(STDERR_FILENO)) {
      if (now - shown_ < std::chrono::milliseconds(100)) return;
      shown_ = now;
      bar_.show(pull_line(progress, elapsed_s, terminal_columns(STDERR_FILENO)));
    } else if (now - told_ >= kBetweenLines) {
      told_ = now;
      tell(pull_line(progress, elapsed_s, 0));
    }
  }
  void clear() { bar_.clear(); }

 private:
  ProgressBar bar_{0};
  Stage stage_ = Stage::listing;
  Clock::time_point begin_;
  Clock::time_point shown_;
  Clock::time_point told_;
};

// What was done, in a line.
std::string summary(const hub::HubName& name, const hub::Pulled& pulled) {
  const std::string commit = pulled.commit.substr(0, 12);
  switch (pulled.how) {
    case hub::Pulled::How::up_to_date:
      return fmt::format("{} is up to date: commit {}, {}", hub::to_text(name), commit,
                         hub::shown_size(pulled.total_bytes));
    case hub::Pulled::How::in_cache:
      return fmt::format("{} is in the Hugging Face cache and used there: {}", hub::to_text(name),
                         printable(pulled.folder));
    case hub::Pulled::How::downloaded: break;
  }
  std::string text = fmt::format("{} is in {}: commit {}, {} files, {}", hub::to_text(name), printable(pulled.folder),
                                 commit, pulled.files, hub::shown_size(pulled.total_bytes));
  if (pulled.fresh_bytes < pulled.total_bytes) {
    text += fmt::format(", {} of it downloaded now", hub::shown_size(pulled.fresh_bytes));
  }
  if (!pulled.replaced.empty()) text += fmt::format("; it replaces {}", pulled.replaced);
  return text;
}

void tell_about_http(const hub::HubOptions& options) {
  const auto url = parse_http_url(options.endpoint);
  if (!url || url->https) return;
  tell(fmt::format("HF_ENDPOINT is {}: what is sent and received can be read and changed on the way{}", url->shown,
                   options.token.empty() || url->loopback ? "" : "; HF_TOKEN is not sent"));
}

Result<ExitCode> pull_model(const PullArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  ESCRIBANO_TRY(const hub::HubName name, hub::parse_hub_name(arguments.name));
  hub::PullOptions options = {.home = settings.home, .hf_hub = huggingface_cache(environment)};
  ESCRIBANO_TRY(options.hub, hub_options(environment));
  options.offline = is_offline(environment);
  if (!options.offline) tell_about_http(options.hub);
  Result<hub::Pulled> pulled;
  {
    std::stop_source stop;
    ESCRIBANO_TRY(const SignalWatcher signals,
                  SignalWatcher::start({SIGINT, SIGTERM}, [&](int) { stop.request_stop(); }));
    PullBar bar;
    pulled = hub::pull(
        name, options, [&](const hub::PullProgress& progress) { bar.update(progress); }, stop.get_token());
    bar.clear();
  }
  if (!pulled && pulled.error().code == Errc::cancelled) {
    tell("interrupted; what has arrived is kept, and the same command goes on from there");
    return ExitCode::interrupted;
  }
  if (!pulled) return fail(pulled.error());
  tell(summary(name, *pulled));
  if (arguments.no_import) {
    ESCRIBANO_CHECK(print_out(pulled->folder.native() + "\n"));
    return ExitCode::done;
  }
  // By its name, so that the import is called that; by its folder where the name means something else here.
  std::error_code ignored;
  const bool is_hidden = fs::exists(name.repository, ignored);
  ESCRIBANO_TRY(const std::vector<fs::path> models, list_models(pulled->folder));
  const std::string label = models.size() > 1 ? ":" + name.quant : "";
  ESCRIBANO_TRY(const ChosenModel model,
                find_model({.name = (is_hidden ? pulled->folder.native() : name.repository) + label,
                            .needs_vision = false,
                            .import = checked_import(settings, environment, std::nullopt)},
                           settings.home, environment, tell));
  ESCRIBANO_CHECK(print_out(file_lines(model.files)));
  return ExitCode::done;
}

}  // namespace

Result<hub::HubOptions> hub_options(const Environment& environment) {
  hub::HubOptions options;
  if (const std::string endpoint = trimmed(value_of(environment, "HF_ENDPOINT")); !endpoint.empty()) {
    options.endpoint = endpoint;
  }
  options.token = trimmed(value_of(environment, "HF_TOKEN"));
  if (const fs::path path = token_file(environment); options.token.empty() && !path.empty()) {
    if (const auto text = read_text_file(path, 4096)) options.token = trimmed(*text);
  }
  if (std::ranges::any_of(options.token, [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) {
    return fail(Errc::invalid_argument,
                "the token of HF_TOKEN, or of the file that it comes from, has a space or another character "
                "that no token has");
  }
  for (const char* variable : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (options.ca_file.empty()) options.ca_file = value_of(environment, variable);
  }
  return options;
}

bool is_offline(const Environment& environment) {
  std::string value = value_of(environment, "HF_HUB_OFFLINE");
  std::ranges::transform(value, value.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string pull_line(const hub::PullProgress& progress, double elapsed_s, int columns) {
  std::string figures =
      fmt::format(" {} of {}", hub::shown_size(progress.done_bytes), hub::shown_size(progress.total_bytes));
  const bool downloads = progress.stage == Stage::downloading;
  if (downloads && progress.fresh_bytes > 0 && elapsed_s > 0) {
    const double rate = static_cast<double>(progress.fresh_bytes) / elapsed_s;
    figures += fmt::format("  {}/s", hub::shown_size(static_cast<std::uint64_t>(rate)));
    if (progress.done_bytes < progress.total_bytes && rate >= 1) {
      figures +=
          "  " + human_duration(static_cast<double>(progress.total_bytes - progress.done_bytes) / rate) + " left";
    }
  }
  const std::string label = downloads ? "pulling " : "checking ";
  if (columns == 0) return label.substr(0, label.size() - 1) + figures;
  const double share = progress.total_bytes == 0
                           ? 1
                           : static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes);
  return bar_line(label, share, figures, columns);
}

void add_models_pull(CLI::App& models, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<PullArguments>();
  CLI::App* command =
      models.add_subcommand("pull", "Download a model from the Hugging Face hub, and make it ready to run");
  command->footer(
      "The files go to models/ORG/NAME of ESCRIBANO_HOME, each checked against the hash that the hub lists; what is in "
      "the "
      "Hugging Face cache is used there. A pull that was interrupted, in whatever way, goes on where it was when the "
      "same "
      "command is given again. HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE and the proxy variables are respected.\n\n"
      "Examples:\n  escribano models pull mlx-community/Qwen3-VL-2B-Instruct-bf16\n"
      "  escribano models pull Qwen/Qwen3-VL-2B-Instruct-GGUF:Q4_K_M");
  command
      ->add_option(
          "NAME", arguments->name,
          "ORG/NAME[@REVISION][:QUANT]: REVISION is a branch, tag or commit, QUANT says which of several GGUF files")
      ->required();
  command->add_flag("--no-import", arguments->no_import, "Only download; prints the folder");
  command->callback(
      [arguments, environment, &exit_code] { exit_code = exit_with(pull_model(*arguments, environment)); });
}

}  // namespace escribano::cli
