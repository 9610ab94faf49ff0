#include "cli/services.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "base/unix_socket.h"
#include "bridge/in_process_service.h"
#include "cli/model_setup.h"
#include "cli/own_program.h"
#include "format/prompts.h"
#include "intelligence/bridge_client.h"
#include "intelligence/ollama_service.h"
#include "intelligence/openai_service.h"
#include "protocol/socket_path.h"

namespace escribano::cli {
namespace {

// What a server is asked to use where no model was named: such servers have one, or a name for it.
constexpr std::string_view kOllamaModel = "qwen3-vl:2b-instruct-bf16";
constexpr std::string_view kOpenAiModel = "default";
constexpr std::string_view kDemoModel = "demo";

Result<ChosenService> start_in_process(const VlmArguments& arguments, const VlmUse& use, const Settings& settings,
                                       const Environment& environment) {
  ESCRIBANO_TRY(const ChosenModel model, choose_model(settings, environment, arguments.projector));
  const DescribeOptions& options = use.options;
  const bool parallel = options.strategy == DescribeStrategy::parallel;
  const EngineSetup setup = {
      .strategy = parallel ? engine::Strategy::parallel : engine::Strategy::interleaved,
      .frames = static_cast<int>(std::min<std::size_t>(use.frames, 1'000'000)),
      .batch_size = options.batch_size,
      .max_tokens = parallel ? std::max(1, options.max_tokens / options.batch_size) : options.max_tokens,
      .prompt_bytes = static_cast<int>(std::max(options.prompt.size(), builtin_prompt(PromptKind::batch).size())),
      .max_image_tokens = arguments.max_image_tokens,
      .threads = arguments.threads,
      .kernels = settings.kernels.value,
      .precision = settings.products.value,
      .patches = settings.patches.value == PatchKind::changed,
      .drafts = settings.drafts.value,
      .memory_limit_mb = settings.memory_limit_mb.value,
      .reuse = reuse_setup(settings),
  };
  ESCRIBANO_TRY(std::unique_ptr<engine::Engine> engine, start_engine(model, setup));
  return ChosenService{
      std::make_unique<bridge::InProcessService>(
          std::move(engine), bridge::InProcessOptions{.seed = arguments.seed, .constrained = !arguments.unconstrained}),
      model.files.name};
}

// A command line cut into words at spaces; quotes hold words together. No shell is involved.
Result<std::vector<std::string>> words_of(std::string_view line, std::string_view name) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (const char c : line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) return fail(Errc::invalid_argument, "{} has a quote that is never closed", name);
  if (in_word) words.push_back(word);
  if (words.empty()) return fail(Errc::invalid_argument, "{} names no program", name);
  return words;
}

// The bridge of somebody else, if the user has one.
Result<std::vector<std::string>> foreign_command(const Settings& settings, std::string_view mode) {
  if (!settings.bridge_command.value.empty()) {
    return words_of(settings.bridge_command.value, settings.bridge_command.source);
  }
  std::vector<std::string> command;
  if (settings.bridge_script.value.empty()) return command;
  command.emplace_back(settings.python_path.value.empty() ? "python3" : settings.python_path.value);
  command.push_back(settings.bridge_script.value);
  command.emplace_back("--mode");
  command.emplace_back(mode);
  return command;
}

// How a bridge of ours is called.
std::string bridge_program() {
  const std::filesystem::path program = own_program();
  return program.empty() ? "escribano" : program.native();
}

void add_engine_options(std::vector<std::string>& command, const VlmArguments& arguments) {
  const auto add = [&](const char* option, std::string value) {
    command.emplace_back(option);
    command.push_back(std::move(value));
  };
  if (!arguments.projector.empty()) add("--mmproj", std::filesystem::absolute(arguments.projector).native());
  if (arguments.max_image_tokens > 0) add("--max-image-tokens", std::to_string(arguments.max_image_tokens));
  if (arguments.threads > 0) add("--threads", std::to_string(arguments.threads));
}

// Whether somebody serves where we would look first: then its model is what counts, unless one was asked for by name.
bool is_served(const Settings& settings) {
  const std::filesystem::path base = settings.mlx_socket_path.value;
  return connect_unix(protocol::bridge_socket_path(base, protocol::Mode::vlm)).has_value() ||
         connect_unix(base).has_value();
}

// Looked for here and not only by the bridge, so that what is wrong or slow about it (an import) is seen at once.
// Returns what it is called.
Result<std::string> choose_bridge_model(const VlmArguments& arguments, const VlmUse& use, const Settings& settings,
                                        const Environment& environment, BridgeClientOptions& options) {
  ESCRIBANO_TRY(const ChosenModel model, choose_model(settings, environment, arguments.projector));
  const int limit = static_cast<int>(model.info.max_frames_per_prompt.value_or(256));
  if (use.options.strategy == DescribeStrategy::interleaved && use.options.batch_size > limit &&
      use.frames > static_cast<std::size_t>(limit)) {
    fmt::print(stderr, "escribano: {} takes up to {} frames a prompt; batches of {} are split\n", model.files.name,
               limit, use.options.batch_size);
  }
  const bool demo = settings.vlm_model.is_default() && model.files.name == kDemoModel;
  options.command.insert(options.command.end(), {"--model", demo ? std::string(kDemoModel) : settings.vlm_model.value});
  if (!settings.vlm_model.is_default()) options.expected_model = model.files.name;
  return model.files.name;
}

Result<ChosenService> make_bridge_service(const VlmArguments& arguments, const VlmUse& use, const Settings& settings,
                                          const Environment& environment) {
  ChosenService chosen;
  BridgeClientOptions options;
  options.socket_path = settings.mlx_socket_path.value;
  options.startup_timeout = std::chrono::milliseconds(settings.mlx_startup_timeout.value);
  ESCRIBANO_TRY(options.command, foreign_command(settings, "vlm"));
  options.foreign = !options.command.empty();
  if (options.foreign) {
    if (!settings.vlm_model.is_default()) chosen.model = settings.vlm_model.value;
    chosen.service = make_bridge_client(std::move(options));
    return chosen;
  }
  // The first request is check enough, and --until-eof ends it with us, or with whoever uses it then.
  options.command = {bridge_program(), "bridge", "--mode", "vlm", "--until-eof", "--no-self-check"};
  if (!settings.vlm_model.is_default() || !is_served(settings)) {
    ESCRIBANO_TRY(chosen.model, choose_bridge_model(arguments, use, settings, environment, options));
  }
  options.command.insert(options.command.end(), {"--batch-size", std::to_string(settings.vlm_batch_size.value)});
  options.command.insert(options.command.end(), {"--max-tokens", std::to_string(settings.vlm_max_tokens.value)});
  if (!settings.drafts.value) options.command.emplace_back("--no-drafts");
  if (settings.verbose.value) options.command.emplace_back("--verbose");
  add_engine_options(options.command, arguments);
  chosen.service = make_bridge_client(std::move(options));
  return chosen;
}

// `url` is that of the command line and may be unset; the settings' own is used then.
Result<ChosenService> make_server_service(BackendKind kind, const Setting<std::string>& model,
                                          const Setting<std::string>& url, const Settings& settings) {
  ChosenService chosen = {.model = server_model(kind, model)};
  if (kind == BackendKind::ollama) {
    OllamaOptions options;
    options.server.url = server_url(kind, url, settings);
    options.server.model = chosen.model;
    ESCRIBANO_TRY(chosen.service, make_ollama_service(std::move(options)));
    return chosen;
  }
  OpenAiOptions options;
  options.server.url = server_url(kind, url, settings);
  options.server.model = chosen.model;
  options.api_key = settings.openai_api_key.value;
  ESCRIBANO_TRY(chosen.service, make_openai_service(std::move(options)));
  return chosen;
}

}  // namespace

std::string server_url(BackendKind kind, const Setting<std::string>& given, const Settings& settings) {
  if (!given.is_default()) return given.value;
  return kind == BackendKind::ollama ? settings.ollama_url.value : settings.openai_url.value;
}

void add_llm_options(CLI::App& command, LlmArguments& arguments) {
  command
      .add_option("--llm", arguments.backend,
                  "What writes texts; none: they are put together without a language model "
                  "(default: native, or ESCRIBANO_LLM)")
      ->check(CLI::IsMember({"native", "ollama", "openai", "none"}))
      ->option_text("native|ollama|openai|none");
  command
      .add_option("--llm-url", arguments.url,
                  "Where that model server is (default: ESCRIBANO_OLLAMA_URL or ESCRIBANO_OPENAI_URL)")
      ->option_text("URL");
  command
      .add_option("--llm-model", arguments.model,
                  "The model that writes texts (default: ESCRIBANO_LLM_MODEL, or the one that looks at images)")
      ->option_text("MODEL");
}

Status apply(const LlmArguments& arguments, Settings& settings) {
  if (!arguments.backend.empty()) settings.llm.set(*backend_kind(arguments.backend), "--llm");
  if (!arguments.model.empty()) settings.llm_model.set(arguments.model, "--llm-model");
  if (arguments.url.empty()) return {};
  if (settings.llm.value == BackendKind::native || settings.llm.value == BackendKind::none) {
    return fail(Errc::invalid_argument, "--llm-url needs --llm ollama or --llm openai");
  }
  settings.llm_url.set(arguments.url, "--llm-url");
  return {};
}

Result<ChosenService> make_llm_service(const Settings& settings, const Environment& environment, int threads) {
  if (settings.llm.value == BackendKind::none) return ChosenService{};
  if (settings.llm.value != BackendKind::native) {
    return make_server_service(settings.llm.value, settings.llm_model, settings.llm_url, settings);
  }
  BridgeClientOptions options;
  options.mode = protocol::Mode::llm;
  options.socket_path = settings.mlx_socket_path.value;
  options.startup_timeout = std::chrono::milliseconds(settings.mlx_startup_timeout.value);
  ESCRIBANO_TRY(options.command, foreign_command(settings, "llm"));
  options.foreign = !options.command.empty();
  // The VLM of ADR-006 can write, too; on a small machine one model is enough. The bridge knows its default by itself.
  const bool shared = settings.llm_model.value.empty();
  const Setting<std::string>& model = shared ? settings.vlm_model : settings.llm_model;
  // (Unless that name is one that a server knows it by.)
  if (!model.is_default() && (!shared || settings.vlm.value == BackendKind::native)) {
    std::error_code ignored;
    const bool is_path = std::filesystem::exists(model.value, ignored);
    options.llm_model = is_path ? std::filesystem::absolute(model.value).native() : model.value;
  }
  ChosenService chosen = {.model = options.llm_model};
  if (!options.foreign) {
    const bool own_default = options.llm_model.empty();
    const ModelChoice choice = {.name = own_default ? settings.vlm_model.value : options.llm_model,
                                .or_demo = own_default,
                                .needs_vision = false};
    // Where there is none, the bridge says so.
    if (const auto found = find_model(choice, settings.home, environment, [](const std::string&) {})) {
      chosen.model = found->files.name;
    }
    options.command = {bridge_program(), "bridge", "--mode", "llm", "--until-eof"};
    if (threads > 0) options.command.insert(options.command.end(), {"--threads", std::to_string(threads)});
    if (settings.verbose.value) options.command.emplace_back("--verbose");
  }
  chosen.service = make_bridge_client(std::move(options));
  return chosen;
}

std::string server_model(BackendKind kind, const Setting<std::string>& model) {
  if (!model.is_default()) return model.value;
  return std::string(kind == BackendKind::ollama ? kOllamaModel : kOpenAiModel);
}

void add_vlm_options(CLI::App& command, VlmArguments& arguments) {
  command
      .add_option("--model", arguments.model,
                  "A .gguf file, a model folder, a hub name, 'demo', or what a model server calls it "
                  "(default: ESCRIBANO_VLM_MODEL)")
      ->option_text("MODEL");
  command
      .add_option("--vlm", arguments.backend,
                  "native: our own engine; ollama, openai: a model server (default: native, or ESCRIBANO_VLM)")
      ->check(CLI::IsMember({"native", "ollama", "openai"}))
      ->option_text("native|ollama|openai");
  command
      .add_option("--vlm-url", arguments.url,
                  "Where the model server is (default: ESCRIBANO_OLLAMA_URL or ESCRIBANO_OPENAI_URL)")
      ->option_text("URL");
  command
      .add_option("--socket", arguments.socket,
                  "Where the bridge is, or is to be (default: ESCRIBANO_MLX_SOCKET_PATH, or /tmp/escribano-mlx.sock)")
      ->option_text("PATH");
  command.add_flag("--in-process", arguments.in_process, "Run the model in this process, without a bridge");
  command.add_option("--mmproj", arguments.projector, "The projector of a .gguf model, if not beside it")
      ->option_text("FILE");
  command
      .add_option("--max-image-tokens", arguments.max_image_tokens,
                  "Shrink images to this many tokens (default: the model's own limit)")
      ->check(CLI::Range(4, 65536))
      ->option_text("N");
  command.add_option("--threads", arguments.threads, "Compute threads (default: one for each processor)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  command.add_flag("--no-drafts", arguments.no_drafts,
                   "Do not draft words from the texts of other images; texts are the same, only slower "
                   "(or ESCRIBANO_DRAFTS=false)");
  command
      .add_option("--seed", arguments.seed, "What is drawn at temperatures above 0; needs --in-process (default: 0)")
      ->option_text("N");
  command.add_flag("--unconstrained", arguments.unconstrained,
                   "Let the model leave the answer format; needs --in-process");
  command.add_flag("-v,--verbose", arguments.verbose, "Log what happens to standard error");
}

Status apply(const VlmArguments& arguments, Settings& settings) {
  if (!arguments.model.empty()) settings.vlm_model.set(arguments.model, "--model");
  if (!arguments.backend.empty()) settings.vlm.set(*backend_kind(arguments.backend), "--vlm");
  if (!arguments.socket.empty()) settings.mlx_socket_path.set(arguments.socket, "--socket");
  if (arguments.no_drafts) settings.drafts.set(false, "--no-drafts");
  if (arguments.verbose) settings.verbose.set(true, "--verbose");
  const bool server = settings.vlm.value != BackendKind::native;
  if (!arguments.url.empty()) {
    if (!server) return fail(Errc::invalid_argument, "--vlm-url needs --vlm ollama or --vlm openai");
    settings.vlm_url.set(arguments.url, "--vlm-url");
  }
  if (server && arguments.in_process) {
    return fail(Errc::invalid_argument, "--in-process runs our own engine, and {} says {}", settings.vlm.source,
                backend_name(settings.vlm.value));
  }
  if (!arguments.in_process && (arguments.seed != 0 || arguments.unconstrained)) {
    return fail(Errc::invalid_argument, "{} needs --in-process",
                arguments.unconstrained ? "--unconstrained" : "--seed");
  }
  const bool engine =
      !arguments.projector.empty() || arguments.max_image_tokens > 0 || arguments.threads > 0 || arguments.no_drafts;
  if (server && engine) {
    return fail(Errc::invalid_argument,
                "--mmproj, --max-image-tokens, --threads and --no-drafts are for our own engine only");
  }
  return {};
}

Result<ChosenService> make_vlm_service(const VlmArguments& arguments, const VlmUse& use, const Settings& settings,
                                       const Environment& environment) {
  if (arguments.in_process) return start_in_process(arguments, use, settings, environment);
  if (settings.vlm.value != BackendKind::native) {
    return make_server_service(settings.vlm.value, settings.vlm_model, settings.vlm_url, settings);
  }
  return make_bridge_service(arguments, use, settings, environment);
}

}  // namespace escribano::cli
