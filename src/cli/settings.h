#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano::cli {

// Looks a variable of the environment up; passed in so that everything below main can be tested without one.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();

// A value and where it came from: "default", "$ESCRIBANO_HOME/config.json", "ESCRIBANO_VLM_MODEL" or "--model".
template <class T>
struct Setting {
  T value{};
  std::string source = "default";

  bool is_default() const { return source == "default"; }
  void set(T new_value, std::string new_source) {
    value = std::move(new_value);
    source = std::move(new_source);
  }
};

// Which backend answers: our own engine behind a bridge, or a model server.
enum class BackendKind { native, ollama, openai };
std::string_view backend_name(BackendKind kind) noexcept;
std::optional<BackendKind> backend_kind(std::string_view name) noexcept;

// What defaults, $ESCRIBANO_HOME/config.json and the environment say, in this order; flags come on top. The variable of
// each is named behind it; its key in config.json is that name in lower case without "ESCRIBANO_".
struct Settings {
  std::filesystem::path home;  // ESCRIBANO_HOME, default ~/.escribano; not in config.json, which lies there

  Setting<std::string> vlm_model{.value = "mlx-community/Qwen3-VL-2B-Instruct-bf16"};  // ESCRIBANO_VLM_MODEL
  Setting<int> vlm_batch_size{.value = 4};                                             // ESCRIBANO_VLM_BATCH_SIZE
  Setting<int> vlm_max_tokens{.value = 2000};  // ESCRIBANO_VLM_MAX_TOKENS, of one batch
  Setting<BackendKind> vlm;                    // ESCRIBANO_VLM
  Setting<BackendKind> llm;                    // ESCRIBANO_LLM
  Setting<std::string> llm_model;              // ESCRIBANO_LLM_MODEL; empty: the same as vlm_model
  Setting<std::string> vlm_url;  // --vlm-url and --llm-url only: the two may ask servers of one kind in two places
  Setting<std::string> llm_url;
  Setting<std::string> ollama_url{.value = "http://127.0.0.1:11434"};        // ESCRIBANO_OLLAMA_URL
  Setting<std::string> openai_url{.value = "http://127.0.0.1:8080/v1"};      // ESCRIBANO_OPENAI_URL
  Setting<std::string> openai_api_key;                                       // ESCRIBANO_OPENAI_API_KEY; secret
  Setting<std::string> mlx_socket_path{.value = "/tmp/escribano-mlx.sock"};  // ESCRIBANO_MLX_SOCKET_PATH
  Setting<int> mlx_startup_timeout{.value = 60'000};                         // ESCRIBANO_MLX_STARTUP_TIMEOUT, ms
  Setting<std::string> mlx_log_file;                // ESCRIBANO_MLX_LOG_FILE; empty: standard error
  Setting<int> log_max_bytes{.value = 10'485'760};  // ESCRIBANO_LOG_MAX_BYTES
  Setting<std::string> bridge_command;              // ESCRIBANO_BRIDGE_COMMAND: starts another's bridge
  Setting<std::string> python_path;                 // ESCRIBANO_PYTHON_PATH, with bridge_script
  Setting<std::string> bridge_script;               // ESCRIBANO_BRIDGE_SCRIPT
  Setting<bool> verbose;                            // ESCRIBANO_VERBOSE

  // Fails with invalid_argument naming the variable or the key of config.json whose value is unusable.
  static Result<Settings> read(const Environment& environment);
};

// Where assets/ is: ESCRIBANO_ASSETS, beside the installed program, or in the source tree it was built from.
std::filesystem::path assets_folder(const Environment& environment);
// The picture that shows whether a model works.
std::filesystem::path self_check_picture(const Environment& environment);

}  // namespace escribano::cli
