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

// What defaults, $ESCRIBANO_HOME/config.json and the environment say, in this order; flags come on top.
struct Settings {
  std::filesystem::path home;  // ESCRIBANO_HOME, default ~/.escribano
  Setting<std::string> vlm_model{.value = "mlx-community/Qwen3-VL-2B-Instruct-bf16"};
  Setting<int> vlm_batch_size{.value = 4};
  Setting<int> vlm_max_tokens{.value = 2000};  // of one batch
  Setting<bool> verbose{.value = false};

  // Fails with invalid_argument naming the variable or the key of config.json whose value is unusable.
  static Result<Settings> read(const Environment& environment);
};

// Where assets/ is: ESCRIBANO_ASSETS, beside the installed program, or in the source tree it was built from.
std::filesystem::path assets_folder(const Environment& environment);

}  // namespace escribano::cli
