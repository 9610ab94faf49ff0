// The checks that talk to somebody: sockets, servers, and the model itself.
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/unix_socket.h"
#include "cli/doctor_checks.h"
#include "cli/memory.h"
#include "cli/terminal.h"
#include "format/prompts.h"
#include "http/http.h"
#include "intelligence/bridge_connection.h"
#include "intelligence/call_limits.h"
#include "intelligence/server_models.h"
#include "protocol/socket_path.h"

namespace escribano::cli {
namespace {

using protocol::BridgeStatus;
using protocol::Mode;

constexpr std::chrono::milliseconds kAnswerPatience{2000};
constexpr std::chrono::milliseconds kGlancePatience{500};
// For a picture of a quarter of a megapixel, on a machine that is slow and has other things to do.
constexpr std::chrono::minutes kFramePatience{3};

// A few words show that a model writes; a whole summary would only take longer.
constexpr int kWritingTokens = 32;
constexpr std::string_view kWritingSegment = "00:00-05:00: coding in VS Code on mosaic-gallery: Release checklist";

constexpr std::string_view kOtherSocket = "choose another path with ESCRIBANO_MLX_SOCKET_PATH";

Result<BridgeStatus> ask_status(FileDescriptor socket) {
  ESCRIBANO_TRY(const auto limits, CallLimits::make(kAnswerPatience, {}));
  BridgeConnection connection(std::move(socket));
  ESCRIBANO_TRY(const protocol::DecodedAnswer decoded, connection.ask({.method = protocol::StatusQuery{}}, *limits));
  if (const auto* status = std::get_if<BridgeStatus>(&decoded.answer.body)) return *status;
  return fail(Errc::protocol_error, "the answer to a question for its status is something else");
}

Check live_socket(std::string_view name, const std::string& path, FileDescriptor socket) {
  const Result<BridgeStatus> status = ask_status(std::move(socket));
  if (status) {
    const int others = status->clients - 1;  // we are one
    return check_ok(name, fmt::format("{}: a bridge answers (process {}): {}, {}, {} other {}, up {}", path,
                                      status->pid, status->model,
                                      status->loaded ? human_bytes(status->resident_bytes) + " in memory" : "unloaded",
                                      others, others == 1 ? "client" : "clients", human_duration(status->uptime_s)));
  }
  if (status.error().code == Errc::deadline_exceeded) {
    return check_warning(name, path + ": a process listens, but does not answer within 2 s",
                         "if it is not busy, end it, and the next command starts a bridge");
  }
  if (status.error().code == Errc::bridge_died) {
    return check_failed(name, fmt::format("{}: a process listens, but {}", path, status.error().message),
                        "end that process, or " + std::string(kOtherSocket));
  }
  return check_ok(name, fmt::format("{}: another's bridge answers, and does not tell its status", path));
}

// Nobody answers at `path`: whether a bridge could listen there.
Check free_socket(std::string_view name, const std::filesystem::path& path, const Error& error) {
  const std::string shown = printable(path);
  std::error_code ignored;
  const std::filesystem::file_status what = std::filesystem::symlink_status(path, ignored);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (error.code == Errc::invalid_argument) return check_failed(name, error.message, std::string(kOtherSocket));
  if (std::filesystem::exists(what) && !std::filesystem::is_socket(what)) {
    return check_failed(name, fmt::format("{} is in the way: it is no socket, so it is left alone", shown),
                        "move it away, or " + std::string(kOtherSocket));
  }
  if (error.code == Errc::not_permitted) {
    return check_failed(name, fmt::format("{}: another user's bridge has that place", shown),
                        std::string(kOtherSocket));
  }
  if (!std::filesystem::is_directory(folder, ignored)) {
    return check_failed(name, fmt::format("{}: there is no such folder", printable(folder)),
                        "make that folder, or " + std::string(kOtherSocket));
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return check_failed(name, fmt::format("{}: this user cannot write to that folder", printable(folder)),
                        std::string(kOtherSocket));
  }
  if (std::filesystem::is_socket(what)) {
    return check_ok(name, shown + ": left by a bridge that has died; the next one takes its place");
  }
  return check_ok(name, shown + ": free; a bridge is started there when it is needed");
}

struct BackendChoice {
  std::string_view name;    // of the check
  std::string_view option;  // that chooses it
  BackendKind kind;
  Setting<std::string> model;
  std::string url;  // of a server
};

BackendChoice choice_of(const Settings& settings, Mode mode) {
  const bool vlm = mode == Mode::vlm;
  const BackendKind kind = (vlm ? settings.vlm : settings.llm).value;
  const bool own_model = vlm || !settings.llm_model.value.empty();
  return {vlm ? "vlm-backend" : "llm-backend", vlm ? "ESCRIBANO_VLM" : "ESCRIBANO_LLM", kind,
          own_model && !vlm ? settings.llm_model : settings.vlm_model,
          server_url(kind, vlm ? settings.vlm_url : settings.llm_url, settings)};
}

Result<ServerModels> list_models(const Settings& settings, const BackendChoice& choice) {
  return choice.kind == BackendKind::ollama
             ? list_ollama_models(choice.url, kAnswerPatience)
             : list_openai_models(choice.url, settings.openai_api_key.value, kAnswerPatience);
}

std::string_view url_variable(BackendKind kind) {
  return kind == BackendKind::ollama ? "ESCRIBANO_OLLAMA_URL" : "ESCRIBANO_OPENAI_URL";
}

Check unreachable_server(const BackendChoice& choice, const Error& error) {
  const std::string text = fmt::format("{}: {}", backend_name(choice.kind), error.message);
  if (error.code == Errc::invalid_argument) {
    return check_failed(choice.name, text, fmt::format("correct {}", url_variable(choice.kind)));
  }
  if (error.code == Errc::protocol_error) {
    return check_failed(choice.name, text,
                        fmt::format("something else may be at this address: correct {}", url_variable(choice.kind)));
  }
  return check_failed(choice.name, text,
                      fmt::format("start the server{}, correct {}, or set {} to native",
                                  choice.kind == BackendKind::ollama ? " (ollama serve)" : "",
                                  url_variable(choice.kind), choice.option));
}

Check answering_server(const BackendChoice& choice, const ServerModels& server) {
  const std::string_view kind = backend_name(choice.kind);
  const std::string model = server_model(choice.kind, choice.model);
  if (server.http_status == 401 || server.http_status == 403) {
    return check_failed(choice.name,
                        fmt::format("{}: {} wants a key (HTTP {})", kind, server.shown, server.http_status),
                        "set ESCRIBANO_OPENAI_API_KEY to a key that it takes");
  }
  if (server.http_status != 200) {
    return check_warning(
        choice.name,
        fmt::format("{}: {} answers with HTTP {} and does not list its models", kind, server.shown, server.http_status),
        fmt::format("if that is not the server you meant, correct {}", url_variable(choice.kind)));
  }
  const std::string known = server.names.empty() ? "no models" : fmt::format("{}", fmt::join(server.names, ", "));
  if (server.has(model)) return check_ok(choice.name, fmt::format("{}: {} has {}", kind, server.shown, model));
  if (choice.kind == BackendKind::ollama) {
    return check_failed(choice.name, fmt::format("ollama: {} has {}, but not {}", server.shown, known, model),
                        fmt::format("ollama pull {}", model));
  }
  if (choice.model.is_default()) return check_ok(choice.name, fmt::format("{}: {} has {}", kind, server.shown, known));
  return check_warning(
      choice.name, fmt::format("{}: {} has {}, but does not name {}", kind, server.shown, known, model),
      fmt::format("some servers take any name; others need {} to be one of theirs", choice.model.source));
}

std::string mend_frame(const Error& error, const Settings& settings) {
  const bool own = own_vlm(settings, false);
  switch (error.code) {
    case Errc::bridge_unavailable:
    case Errc::bridge_died:
      return own ? "'escribano bridge --mode vlm --verbose' tells more; with too little memory, a smaller model helps"
                 : "look at what the bridge logs; ESCRIBANO_BRIDGE_COMMAND says how it is started";
    case Errc::deadline_exceeded:
      return "this machine may be too slow for this model: choose a smaller one, or see whether 'escribano doctor "
             "--model demo' works";
    case Errc::out_of_memory: return "close other programs, or choose a smaller or quantised model";
    case Errc::backend_error:
    case Errc::protocol_error: return "look at what the server logs, and whether its model can look at pictures";
    default: return "'escribano doctor --verbose' tells more";
  }
}

Check judge_frame(const FrameResult& frame, double seconds, const Settings& settings) {
  if (frame.error) return check_failed("frame", frame.error->message, mend_frame(*frame.error, settings));
  const FrameStats& stats = frame.stats;
  std::string took = fmt::format("described in {:.1f} s", seconds);
  const double model_s = (stats.encode_ms + stats.prefill_ms + stats.decode_ms) / 1000;
  if (model_s > 0) took += fmt::format(" ({:.1f} s of it in the model)", model_s);
  if (stats.reused == "duplicate") {
    took = fmt::format("the bridge had described it before and still knew the answer ({:.2f} s)", seconds);
  } else {
    took += fmt::format(", {} tokens read, {} written", stats.prompt_tokens, stats.generation_tokens);
  }
  if (frame.raw_response) {
    return check_warning(
        "frame", fmt::format("{}, but not in the form asked for: \"{}\"", took, *frame.raw_response),
        "choose a model of the Qwen3-VL family that follows instructions; docs/format.md has the form");
  }
  return check_ok("frame", fmt::format("{}: \"{}\"", took, frame.description));
}

}  // namespace

Check check_socket(const Settings& settings, Mode mode) {
  const std::string_view name = mode == Mode::vlm ? "socket" : "llm-socket";
  if ((mode == Mode::vlm ? settings.vlm : settings.llm).value != BackendKind::native) {
    return check_skipped(name, "no bridge is used");
  }
  const std::filesystem::path path = protocol::bridge_socket_path(settings.mlx_socket_path.value, mode);
  auto socket = connect_unix(path);
  return socket ? live_socket(name, printable(path), *std::move(socket)) : free_socket(name, path, socket.error());
}

Check check_backend(const Settings& settings, Mode mode, bool in_process) {
  const BackendChoice choice = choice_of(settings, mode);
  if (choice.kind == BackendKind::none) {
    return check_ok(choice.name, "none: texts are put together without a language model");
  }
  if (choice.kind == BackendKind::native) {
    if (mode == Mode::vlm && in_process) return check_ok(choice.name, "native: our own engine, in this process");
    const bool own = own_vlm(settings, false) || settings.vlm.value != BackendKind::native;
    return check_ok(choice.name, own ? "native: our own engine, behind a bridge" : "native: another's bridge");
  }
  const Result<ServerModels> server = list_models(settings, choice);
  return server ? answering_server(choice, *server) : unreachable_server(choice, server.error());
}

std::optional<Check> check_unused_ollama(const Settings& settings) {
  if (settings.vlm.value == BackendKind::ollama || settings.llm.value == BackendKind::ollama) return std::nullopt;
  // Other machines are not asked for what nobody wants of them.
  const Result<HttpUrl> url = parse_http_url(settings.ollama_url.value);
  if (!url || !url->loopback) return std::nullopt;
  const Result<ServerModels> server = list_ollama_models(settings.ollama_url.value, kGlancePatience);
  if (!server || server->http_status != 200) return std::nullopt;
  return check_ok("ollama",
                  fmt::format("{} answers and is not used; --vlm ollama would use it ({})", url->shown,
                              server->names.empty() ? "no models" : fmt::format("{}", fmt::join(server->names, ", "))));
}

std::optional<Check> check_frame(const Settings& settings, const Environment& environment,
                                 const VlmArguments& arguments, std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  DescribeOptions options;
  options.batch_size = 1;
  options.max_tokens = std::max(1, settings.vlm_max_tokens.value / 4);  // as of a frame that is described alone
  options.deadline = kFramePatience + std::chrono::milliseconds(settings.mlx_startup_timeout.value);
  options.stop = std::move(stop);
  const auto service = make_vlm_service(arguments, {.options = options, .frames = 1}, settings, environment);
  if (!service) {
    return check_failed("frame", service.error().message, mend_frame(service.error(), settings));
  }
  const std::array<Frame, 1> frames = {Frame{.path = std::filesystem::absolute(self_check_picture(environment))}};
  const DescribeOutcome outcome = service->service->describe_images(frames, options, {});
  if (!outcome.status && outcome.status.error().code == Errc::cancelled) return std::nullopt;
  if (!outcome.status) {
    return check_failed("frame", outcome.status.error().message, mend_frame(outcome.status.error(), settings));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return judge_frame(outcome.results.at(0), seconds, settings);
}

std::optional<Check> check_writing(const Settings& settings, const Environment& environment, std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  GenerateOptions options;
  options.max_tokens = kWritingTokens;
  options.deadline = kFramePatience + std::chrono::milliseconds(settings.mlx_startup_timeout.value);
  options.stop = std::move(stop);
  const auto failed = [&](const Error& error) {
    return check_failed(
        "text", error.message,
        settings.llm.value == BackendKind::native
            ? "'escribano bridge --mode llm --verbose' tells more; ESCRIBANO_LLM_MODEL chooses the model"
            : "look at what the server logs; ESCRIBANO_LLM_MODEL chooses the model");
  };
  const auto prompt = fill(builtin_prompt(PromptKind::summary), {{"segments", kWritingSegment}});
  if (!prompt) return failed(prompt.error());
  const auto service = make_llm_service(settings, environment);
  if (!service) return failed(service.error());
  const auto text = service->service->generate_text(*prompt, options);
  if (!text && text.error().code == Errc::cancelled) return std::nullopt;
  if (!text) return failed(text.error());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string words = fmt::format("{} tokens written in {:.1f} s", text->generation_tokens, seconds);
  if (text->text.empty()) return check_warning("text", words + ", and no text among them", "choose another model");
  return check_ok("text", fmt::format("{}: \"{}\"", words, text->text.substr(0, text->text.find('\n'))));
}

}  // namespace escribano::cli
