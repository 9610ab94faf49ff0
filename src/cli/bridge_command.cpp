#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/file_lock.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/unix_socket.h"
#include "bridge/self_check.h"
#include "bridge/server.h"
#include "cli/commands.h"
#include "cli/model_setup.h"
#include "cli/process_title.h"
#include "image/image.h"
#include "protocol/answer.h"
#include "protocol/socket_path.h"

namespace escribano::cli {
namespace {

using protocol::Mode;

struct BridgeArguments {
  std::string mode;  // empty: vlm, at the plain socket path
  std::string socket;
  std::string model;
  std::string projector;
  int batch_size = 0;
  int max_tokens = 0;
  int max_image_tokens = 0;
  int threads = 0;
  int max_queued_frames = 20'000;
  double idle_unload_s = 0;
  double idle_exit_s = 0;
  bool until_eof = false;
  bool no_self_check = false;
  bool no_drafts = false;
  bool verbose = false;
};

// One line on standard output, in one write: clients read it as it comes.
void announce(const protocol::Announcement& announcement) {
  const std::string line = protocol::encode(announcement);
  std::size_t sent = 0;
  while (sent < line.size()) {
    const ssize_t put = ::write(STDOUT_FILENO, line.data() + sent, line.size() - sent);
    if (put <= 0) return;  // nobody listens; the socket is what counts
    sent += static_cast<std::size_t>(put);
  }
}

// Ends the daemon on a signal: in order once it serves, at once while it starts (a load cannot be interrupted), and at
// once when asked again. What leaves a file behind, the lock and the socket, is made while a signal waits: else the process
// could end between the making of the file and our knowing of it.
class StopSignals {
 public:
  Status start() {
    ESCRIBANO_TRY(SignalWatcher watcher,
                  SignalWatcher::start({SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); }));
    watcher_.emplace(std::move(watcher));
    return {};
  }
  // Held until it serves. False while another process holds it.
  Result<bool> lock_start(const std::filesystem::path& path) {
    const std::lock_guard guard(mutex_);
    ESCRIBANO_TRY(std::optional<FileLock> lock, FileLock::try_lock(path));
    if (!lock) return false;
    lock_.emplace(std::move(*lock));
    return true;
  }
  Result<std::unique_ptr<bridge::Server>> serve(
      const std::function<Result<std::unique_ptr<bridge::Server>>()>& start_server) {
    const std::lock_guard guard(mutex_);
    ESCRIBANO_TRY(std::unique_ptr<bridge::Server> server, start_server());
    server_ = server.get();
    lock_.reset();
    return server;
  }
  void served() {
    const std::lock_guard guard(mutex_);
    server_ = nullptr;
  }

 private:
  void on_signal(int signal) {
    const std::lock_guard guard(mutex_);
    if (asked_) std::_Exit(128 + signal);
    asked_ = true;
    log::info("signal {}", signal);
    if (server_ != nullptr) return server_->stop();
    lock_.reset();
    std::_Exit(0);
  }

  std::mutex mutex_;
  bridge::Server* server_ = nullptr;
  std::optional<FileLock> lock_;
  bool asked_ = false;
  std::optional<SignalWatcher> watcher_;
};

class BridgeProcess {
 public:
  BridgeProcess(BridgeArguments arguments, Environment environment, Settings settings)
      : arguments_(std::move(arguments)), environment_(std::move(environment)), settings_(std::move(settings)) {}

  // Serves until asked to end.
  Status run();

 private:
  Result<bridge::LoadedModel> load(const std::string& name) const;
  Status check(engine::Engine& engine) const;
  bridge::ServerOptions server_options(const std::filesystem::path& socket) const;
  const Setting<std::string>& own_model() const {
    const bool llm = mode_ == Mode::llm && !settings_.llm_model.value.empty();
    return llm ? settings_.llm_model : settings_.vlm_model;
  }

  BridgeArguments arguments_;
  Environment environment_;
  Settings settings_;
  Mode mode_ = Mode::vlm;
};

Result<bridge::LoadedModel> BridgeProcess::load(const std::string& name) const {
  const bool text_only = mode_ == Mode::llm;
  const ModelChoice choice = {
      .name = name.empty() ? own_model().value : name,
      .or_demo = name.empty() && own_model().is_default(),
      .needs_vision = !text_only,
      .projector = arguments_.projector,
  };
  const auto begin = std::chrono::steady_clock::now();
  ESCRIBANO_TRY(const ChosenModel model, find_model(choice, settings_.home, environment_,
                                                    [](const std::string& line) { log::warn("{}", line); }));
  DaemonSetup setup = daemon_setup(settings_);
  setup.text_only = text_only;
  setup.max_image_tokens = arguments_.max_image_tokens;
  setup.threads = arguments_.threads;
  ESCRIBANO_TRY(std::unique_ptr<engine::Engine> engine, start_daemon_engine(model, setup));
  log::info("{} loaded in {:.1f} s: {} sequences of {} tokens", model.files.name,
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), engine->slots(),
            engine->context_tokens());
  return bridge::LoadedModel{model.files.name, std::move(engine)};
}

Status BridgeProcess::check(engine::Engine& engine) const {
  const std::filesystem::path picture = self_check_picture(environment_);
  ESCRIBANO_TRY(const Image image, load_image(picture, {}));
  const Status status = bridge::self_check(engine, image);
  if (!status) return fail(status.error().code, "the self-check failed: {}", status.error().message);
  return {};
}

bridge::ServerOptions BridgeProcess::server_options(const std::filesystem::path& socket) const {
  const auto to_ms = [](double seconds) { return std::chrono::milliseconds(static_cast<long long>(seconds * 1000)); };
  bridge::ServerOptions options;
  options.socket_path = socket;
  options.dispatcher.mode = mode_;
  options.dispatcher.model_name = mode_ == Mode::llm ? "llm-lazy" : own_model().value;
  options.dispatcher.defaults.batch_size = settings_.vlm_batch_size.value;
  options.dispatcher.defaults.max_tokens = settings_.vlm_max_tokens.value;
  options.dispatcher.max_queued_frames = arguments_.max_queued_frames;
  options.dispatcher.idle_unload = to_ms(arguments_.idle_unload_s);
  options.idle_exit = to_ms(arguments_.idle_exit_s);
  options.lifeline_fd = arguments_.until_eof ? STDIN_FILENO : -1;
  return options;
}

Status BridgeProcess::run() {
  if (arguments_.mode == "llm") mode_ = Mode::llm;
  const std::optional<Mode> named = arguments_.mode.empty() ? std::nullopt : std::optional(mode_);
  const std::filesystem::path socket = protocol::bridge_socket_path(settings_.mlx_socket_path.value, named);
  set_process_title(fmt::format("escribano bridge: {}", protocol::mode_name(mode_)));

  StopSignals signals;
  ESCRIBANO_CHECK(signals.start());
  // Held from before the load until the socket is there: of two that start at once, only one loads a model.
  ESCRIBANO_TRY(const bool first, signals.lock_start(protocol::bridge_load_lock_path(socket)));
  if (!first) return fail(Errc::already_running, "another bridge is starting at {}", printable(socket));
  if (connect_unix(socket)) return fail(Errc::already_running, "a bridge already serves {}", printable(socket));

  std::optional<bridge::LoadedModel> model;
  if (mode_ == Mode::vlm) {
    ESCRIBANO_TRY(model, load(""));
    if (!arguments_.no_self_check) ESCRIBANO_CHECK(check(*model->engine));
  }
  protocol::Announcement ready = {.model = model ? model->name : "llm-lazy",
                                  .mode = std::string(protocol::mode_name(mode_))};
  ready.socket = socket.native();
  ready.pid = ::getpid();
  ESCRIBANO_TRY(const std::unique_ptr<bridge::Server> server, signals.serve([&] {
    return bridge::Server::start(
        server_options(socket), [this](const std::string& name) { return load(name); }, std::move(model));
  }));
  log::info("serving {}", printable(socket));
  announce(ready);
  server->run();
  signals.served();
  // Waiting for a large model to finish loading, only to throw it away, would break the promise to end soon.
  if (server->is_loading()) std::_Exit(0);
  return {};
}

Status bridge(BridgeArguments arguments, const Environment& environment) {
  ESCRIBANO_TRY(Settings settings, Settings::read(environment));
  if (!arguments.model.empty()) {
    settings.vlm_model.set(arguments.model, "--model");
    settings.llm_model.set(arguments.model, "--model");
  }
  if (!arguments.socket.empty()) settings.mlx_socket_path.set(arguments.socket, "--socket");
  if (arguments.batch_size > 0) settings.vlm_batch_size.set(arguments.batch_size, "--batch-size");
  if (arguments.max_tokens > 0) settings.vlm_max_tokens.set(arguments.max_tokens, "--max-tokens");
  if (arguments.no_drafts) settings.drafts.set(false, "--no-drafts");
  if (arguments.verbose) settings.verbose.set(true, "--verbose");
  std::optional<log::FileTarget> file;
  if (!settings.mlx_log_file.value.empty()) {
    file = {settings.mlx_log_file.value, static_cast<std::uint64_t>(settings.log_max_bytes.value)};
  }
  log::init("MLX", settings.verbose.value ? log::Level::debug : log::Level::info, file);
  return BridgeProcess(std::move(arguments), environment, std::move(settings)).run();
}

}  // namespace

void add_bridge_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto arguments = std::make_shared<BridgeArguments>();
  CLI::App* command = app.add_subcommand("bridge", "Serve a model to other programs over a Unix socket");
  command->footer(
      "Prints one line when it is ready, {\"status\":\"ready\",...}, and then answers requests, one JSON object a line "
      "(docs/protocol.md), until it gets SIGTERM or a shutdown request. Log lines go to standard error.\n\n"
      "Example:\n  escribano bridge --mode vlm --idle-unload 300");
  command
      ->add_option("--mode", arguments->mode,
                   "vlm: look at images; llm: write text. With it, '-vlm' or '-llm' goes into the socket's name "
                   "(default: vlm, at the socket's plain name)")
      ->check(CLI::IsMember({"vlm", "llm"}))
      ->option_text("vlm|llm");
  command
      ->add_option("--socket", arguments->socket,
                   "Where to listen (default: ESCRIBANO_MLX_SOCKET_PATH, or /tmp/escribano-mlx.sock)")
      ->option_text("PATH");
  command
      ->add_option("--model", arguments->model,
                   "A .gguf file, a model folder, a hub name, or 'demo' (default: ESCRIBANO_VLM_MODEL, or "
                   "ESCRIBANO_LLM_MODEL in llm mode)")
      ->option_text("MODEL");
  command->add_option("--mmproj", arguments->projector, "The projector of a .gguf model, if not beside it")
      ->option_text("FILE");
  command
      ->add_option("--batch-size", arguments->batch_size,
                   "Frames described at once (default: 4, or ESCRIBANO_VLM_BATCH_SIZE)")
      ->check(CLI::Range(1, 255))
      ->option_text("N");
  command
      ->add_option("--max-tokens", arguments->max_tokens,
                   "Output budget of a batch where a request names none (default: 2000, or ESCRIBANO_VLM_MAX_TOKENS)")
      ->check(CLI::Range(1, 1'000'000))
      ->option_text("N");
  command
      ->add_option("--max-image-tokens", arguments->max_image_tokens,
                   "Shrink images to this many tokens (default: the model's own limit)")
      ->check(CLI::Range(4, 65536))
      ->option_text("N");
  command->add_option("--threads", arguments->threads, "Compute threads (default: one for each processor)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  command
      ->add_option("--max-queued-frames", arguments->max_queued_frames,
                   "Refuse requests beyond this many unanswered frames (default: 20000)")
      ->check(CLI::Range(1, 10'000'000))
      ->option_text("N");
  command
      ->add_option("--idle-unload", arguments->idle_unload_s,
                   "Give the model's memory back after that many seconds without work; the next request loads it again")
      ->check(CLI::Range(0.0, 1e7))
      ->option_text("S");
  command->add_option("--idle-exit", arguments->idle_exit_s, "End after that many seconds without a client")
      ->check(CLI::Range(0.0, 1e7))
      ->option_text("S");
  command->add_flag("--until-eof", arguments->until_eof,
                    "End once standard input is at its end and no client is connected");
  command->add_flag("--no-self-check", arguments->no_self_check, "Do not describe a picture before serving");
  command->add_flag("--no-drafts", arguments->no_drafts,
                    "Do not draft words from the texts of other frames (or ESCRIBANO_DRAFTS=false)");
  command->add_flag("-v,--verbose", arguments->verbose, "Log details (or ESCRIBANO_VERBOSE=true)");
  command->callback([arguments, environment, &exit_code] {
    std::signal(SIGPIPE, SIG_IGN);  // whoever read our log may go before our clients do
    const Status status = bridge(*arguments, environment);
    if (status) {
      exit_code = ExitCode::done;
      return;
    }
    log::error("{}", status.error().message);
    announce({.fatal = status.error()});
    exit_code = status.error().code == Errc::invalid_argument ? ExitCode::usage : ExitCode::failed;
  });
}

}  // namespace escribano::cli
