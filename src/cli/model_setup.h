#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "cli/settings.h"
#include "engine/engine.h"
#include "engine/plan/memory_need.h"
#include "engine/precision.h"
#include "models/model_files.h"
#include "models/resolve.h"

namespace escribano::cli {

// A model found, checked and, where it is a Hugging Face folder, imported.
struct ChosenModel {
  ModelFiles files;
  ModelInfo info;
};

// `name` as in Settings::vlm_model. Where the default was not chosen by anyone and is not on this machine, this is the
// demo model, and a line on standard error says so. `projector` (--mmproj) may be empty.
Result<ChosenModel> choose_model(const Settings& settings, const Environment& environment,
                                 const std::filesystem::path& projector);

// Where models lie on this machine.
ResolveOptions model_places(const std::filesystem::path& home, const Environment& environment);

// What a model is to be found for.
struct ModelChoice {
  std::string name;                 // as in Settings::vlm_model
  bool or_demo = false;             // the demo model will do where there is no such model
  bool needs_vision = true;         // fails with no_vision otherwise
  std::filesystem::path projector;  // --mmproj; may be empty
  ImportOptions import = {};        // of a folder that was not imported before
};
// The same for any model. `say` is told, in one line, when the demo model takes the place of another.
Result<ChosenModel> find_model(const ModelChoice& choice, const std::filesystem::path& home,
                               const Environment& environment, const std::function<void(const std::string&)>& say);

// For an import that somebody asked for: the pair is kept only if it can look at a picture and say something. With
// `quantize` the language model is quantised.
ImportOptions checked_import(const Settings& settings, const Environment& environment,
                             std::optional<Quantization> quantize);

// Where MLX-VLM and transformers keep what they downloaded: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub; empty
// where the environment says nothing.
std::filesystem::path huggingface_cache(const Environment& environment);

// A line on standard error, for `say`.
void tell(const std::string& line);

// What an engine keeps of frames for when they come again.
struct ReuseSetup {
  ReuseKind kind = ReuseKind::all;
  std::filesystem::path folder;    // embeddings on the disk, across restarts; empty: none
  std::uint64_t folder_bytes = 0;  // limit of that
};
ReuseSetup reuse_setup(const Settings& settings);

struct EngineSetup {
  engine::Strategy strategy = engine::Strategy::parallel;
  int frames = 1;            // of the request that is coming
  int batch_size = 4;        // frames described at once (parallel) or in one prompt (interleaved)
  int max_tokens = 500;      // output budget of one prompt
  int prompt_bytes = 0;      // length of the instruction
  int max_image_tokens = 0;  // 0: what the model's own rule allows
  int threads = 0;           // 0: one for each processor
  bool kernels = true;       // compute with engine/kernels where the processor can
  engine::Precision precision = engine::Precision::exact;
  bool patches = false;     // compute only those that changed since the frame before; needs the kernels
  bool drafts = true;       // draft tokens from the texts of other frames
  int memory_limit_mb = 0;  // 0: what the machine has
  ReuseSetup reuse;
};

// Loads the model with slots for such a request and a context for frames of ordinary size, which grows with larger ones up
// to what the largest image that the model takes needs. Blocks.
//
// Both loaders look at the memory first (engine_memory()): with too little for all slots they take fewer, which changes no
// text, and say so in a line; with too little for one they fail with out_of_memory and the numbers. Here that is one with the
// largest image; where there is no memory for it in all slots, it is described in fewer.
Result<std::unique_ptr<engine::Engine>> start_engine(const ChosenModel& model, const EngineSetup& setup);

struct DaemonSetup {
  bool text_only = false;    // llm mode: the vision tower is not loaded
  int batch_size = 4;        // frames described at once
  int max_tokens = 2000;     // output budget of a batch
  int max_image_tokens = 0;  // 0: what the model's own rule allows
  int threads = 0;           // 0: one for each processor
  bool kernels = true;       // compute with engine/kernels where the processor can
  engine::Precision precision = engine::Precision::exact;
  bool patches = false;     // compute only those that changed since the frame before; needs the kernels
  bool drafts = true;       // draft tokens from the texts of other frames
  int memory_limit_mb = 0;  // 0: what the machine has
  ReuseSetup reuse;
};
DaemonSetup daemon_setup(const Settings& settings);

// Loads the model for requests that are not known yet: a shape for ordinary frames, which grows for what needs more, as far
// as the memory suffices. Blocks.
Result<std::unique_ptr<engine::Engine>> start_daemon_engine(const ChosenModel& model, const DaemonSetup& setup);

// What a daemon set up like that takes. Pure.
engine::MemoryNeed daemon_memory(const ModelInfo& info, const DaemonSetup& setup);
// How many sequences it can have at once in so much memory; nullopt: not even one. Pure.
std::optional<int> daemon_slots(const ModelInfo& info, const DaemonSetup& setup, std::uint64_t available_bytes);
// "weights 4.0 GiB, context 1.2 GiB, ...". Pure.
std::string parts_of(const engine::MemoryNeed& need);

}  // namespace escribano::cli
