#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"
#include "engine/precision.h"

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

// Which backend answers: our own engine behind a bridge, or a model server; none writes no texts.
enum class BackendKind { native, ollama, openai, none };
std::string_view backend_name(BackendKind kind) noexcept;
std::optional<BackendKind> backend_kind(std::string_view name) noexcept;

// What of earlier frames is made use of where a frame comes again. None of it changes a text.
enum class ReuseKind {
  none,        // every frame goes through the whole model
  embeddings,  // what the vision tower made of a picture is kept
  all,         // and the answer to a frame asked the same way
};

// What the vision tower computes of a frame.
enum class PatchKind {
  all,
  changed,  // the patches that changed since the frame before; features of the others do not see these
};

// A setting as it is shown.
struct SettingRow {
  std::string key;       // in config.json
  std::string variable;  // of the environment
  std::string value;     // a secret is not shown
  std::string source;
};

// What defaults, $ESCRIBANO_HOME/config.json and the environment say, in this order; flags come on top. The variable of
// each is named behind it; its key in config.json is that name in lower case without "ESCRIBANO_".
struct Settings {
  std::filesystem::path home;  // ESCRIBANO_HOME, default ~/.escribano; not in config.json, which lies there

  Setting<std::string> vlm_model{.value = "mlx-community/Qwen3-VL-2B-Instruct-bf16"};  // ESCRIBANO_VLM_MODEL
  Setting<int> vlm_batch_size{.value = 4};                                             // ESCRIBANO_VLM_BATCH_SIZE
  Setting<int> vlm_max_tokens{.value = 2000};  // ESCRIBANO_VLM_MAX_TOKENS, of one batch
  Setting<bool> drafts{.value = true};         // ESCRIBANO_DRAFTS: draft tokens from the texts of other frames
  Setting<BackendKind> vlm;                    // ESCRIBANO_VLM
  Setting<BackendKind> llm;                    // ESCRIBANO_LLM; only this one may be none
  Setting<std::string> llm_model;              // ESCRIBANO_LLM_MODEL; empty: the same as vlm_model
  Setting<std::string> vlm_url;  // --vlm-url and --llm-url only: the two may ask servers of one kind in two places
  Setting<std::string> llm_url;
  Setting<std::string> ollama_url{.value = "http://127.0.0.1:11434"};        // ESCRIBANO_OLLAMA_URL
  Setting<std::string> openai_url{.value = "http://127.0.0.1:8080/v1"};      // ESCRIBANO_OPENAI_URL
  Setting<std::string> openai_api_key;                                       // ESCRIBANO_OPENAI_API_KEY; secret
  Setting<std::string> mlx_socket_path{.value = "/tmp/escribano-mlx.sock"};  // ESCRIBANO_MLX_SOCKET_PATH
  Setting<int> mlx_startup_timeout{.value = 60'000};                         // ESCRIBANO_MLX_STARTUP_TIMEOUT, ms
  Setting<std::string> mlx_log_file;                  // ESCRIBANO_MLX_LOG_FILE; empty: standard error
  Setting<int> log_max_bytes{.value = 10'485'760};    // ESCRIBANO_LOG_MAX_BYTES
  Setting<std::string> bridge_command;                // ESCRIBANO_BRIDGE_COMMAND: starts another's bridge
  Setting<std::string> python_path;                   // ESCRIBANO_PYTHON_PATH, with bridge_script
  Setting<std::string> bridge_script;                 // ESCRIBANO_BRIDGE_SCRIPT
  Setting<ReuseKind> reuse{.value = ReuseKind::all};  // ESCRIBANO_REUSE
  Setting<int> embedding_cache_mb{.value = 1024};     // ESCRIBANO_EMBEDDING_CACHE_MB, MiB on the disk; 0: none
  Setting<int> memory_limit_mb;                       // ESCRIBANO_MEMORY_LIMIT_MB, MiB; 0: what the machine has
  Setting<bool> kernels{.value = true};               // ESCRIBANO_KERNELS
  Setting<engine::Precision> products;                // ESCRIBANO_PRODUCTS
  Setting<PatchKind> patches;                         // ESCRIBANO_PATCHES
  Setting<bool> verbose;                              // ESCRIBANO_VERBOSE

  // Of process and report. SamplingOptions says what those of sampling mean; times are seconds.
  Setting<double> sample_interval{.value = 10};                     // ESCRIBANO_SAMPLE_INTERVAL
  Setting<double> sample_gap_threshold{.value = 15};                // ESCRIBANO_SAMPLE_GAP_THRESHOLD
  Setting<double> sample_gap_fill{.value = 3};                      // ESCRIBANO_SAMPLE_GAP_FILL
  Setting<double> scene_threshold{.value = 0.4};                    // ESCRIBANO_SCENE_THRESHOLD
  Setting<double> scene_min_interval{.value = 2};                   // ESCRIBANO_SCENE_MIN_INTERVAL
  Setting<UnchangedRule> unchanged{.value = UnchangedRule::still};  // ESCRIBANO_UNCHANGED
  Setting<double> min_segment_s{.value = 30};                       // ESCRIBANO_MIN_SEGMENT_S
  Setting<int> max_attempts{.value = 3};           // ESCRIBANO_MAX_ATTEMPTS, runs that try to describe a frame
  Setting<std::vector<std::string>> exclude_apps;  // ESCRIBANO_EXCLUDE_APPS, separated by commas; a list in the file
  Setting<ArtefactFormat> artefact_format;         // ESCRIBANO_ARTEFACT_FORMAT

  // Fails with invalid_argument naming the variable or the key of config.json whose value is unusable.
  static Result<Settings> read(const Environment& environment);
  // All of them but home, in the order above.
  std::vector<SettingRow> rows() const;
  // As config.json lies there, whether it exists or not.
  std::filesystem::path config_file() const { return home / "config.json"; }
  std::filesystem::path database() const { return home / "escribano.db"; }
  std::filesystem::path embedding_cache() const { return home / "cache" / "embeddings"; }
};

// Where the files of assets/ are: ESCRIBANO_ASSETS, or ../share/escribano as seen from the program's folder. In a build folder
// that is a link to the source tree.
std::filesystem::path assets_folder(const Environment& environment);
// The picture that shows whether a model works.
std::filesystem::path self_check_picture(const Environment& environment);

}  // namespace escribano::cli
