#include "cli/model_setup.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "bridge/self_check.h"
#include "cli/memory.h"
#include "cli/terminal.h"
#include "engine/llama/llama_backend.h"
#include "engine/llama/llama_system.h"
#include "engine/llama/quantize.h"
#include "image/hash.h"
#include "image/image.h"

namespace escribano::cli {
namespace {

// More tokens than this an image may have only if the user asks for it: four times a 1280x720 frame.
constexpr int kDefaultMaxImageTokens = 4096;
// Sequences that decode together in interleaved prompts: each of them holds a whole batch.
constexpr int kInterleavedSlots = 4;
// A slot has room for a frame like this (1280x720 has 880, 1440x900 has 1260); whatever needs more gets it when it comes.
constexpr int kOrdinaryImageTokens = 1280;
// A daemon's slot has room for an instruction of that length, and grows up to kMaxContextTokens, which bounds its memory.
constexpr int kInstructionTokens = 512;
constexpr int kTextContextTokens = 8192;
constexpr int kMaxContextTokens = 32'768;

// Says on standard error that a model is being imported, as soon as that takes time.
class ImportBar {
 public:
  bool show(const ImportProgress& progress) {
    if (progress.stage != stage_) {
      stage_ = progress.stage;
      begin_ = std::chrono::steady_clock::now();
    }
    if (!is_terminal(STDERR_FILENO) || std::chrono::steady_clock::now() - begin_ < std::chrono::milliseconds(500)) {
      return true;
    }
    constexpr double kMiB = 1 << 20;
    fmt::print(stderr, "\r\033[K{} the model: {:.0f} of {:.0f} MiB",
               progress.stage == ImportProgress::Stage::quantising ? "quantising" : "importing",
               static_cast<double>(progress.done_bytes) / kMiB, static_cast<double>(progress.total_bytes) / kMiB);
    if (progress.done_bytes == progress.total_bytes) fmt::print(stderr, "\r\033[K");
    return true;
  }

 private:
  ImportProgress::Stage stage_ = ImportProgress::Stage::waiting;
  std::chrono::steady_clock::time_point begin_;
};

// The model's own rule, within the limit that the user or this program sets.
PixelRule pixel_rule(const ModelInfo& info, int max_tokens) {
  PixelRule rule;
  rule.patch_size_px = static_cast<int>(info.patch_size);
  rule.merge_size = static_cast<int>(info.merge_size);
  rule.min_pixels = info.min_pixels.value_or(static_cast<std::uint32_t>(rule.min_pixels));
  rule.max_pixels = info.max_pixels.value_or(static_cast<std::uint32_t>(rule.max_pixels));
  const std::int64_t factor = std::int64_t{rule.patch_size_px} * rule.merge_size;
  const std::int64_t limit = max_tokens > 0 ? max_tokens : kDefaultMaxImageTokens;
  rule.max_pixels = std::min<std::int64_t>(rule.max_pixels, limit * factor * factor);
  rule.min_pixels = std::min(rule.min_pixels, rule.max_pixels);
  return rule;
}

int max_image_tokens(const PixelRule& rule) {
  const std::int64_t factor = std::int64_t{rule.patch_size_px} * rule.merge_size;
  return static_cast<int>(rule.max_pixels / (factor * factor));
}

// Raise when the same picture and projector are turned into other numbers than before.
constexpr int kEmbeddingVersion = 2;

// Of all that an embedding depends on beside the pixels. Kernels differ by processor and option, and round differently.
Result<std::string> embedding_identity(const engine::LlamaOptions& llama) {
  ESCRIBANO_TRY(const MappedFile file, MappedFile::open(llama.projector));
  const engine::LlamaSystem system = engine::llama_system();
  return fmt::format("{} {:016x} {} {} {} {} {} {} {} {}", kEmbeddingVersion, hash_bytes(file.bytes()), system.version,
                     system.ggml_version, system.processor, fmt::join(system.instructions, ","),
                     fmt::join(system.gpus, ","), llama.kernels, precision_name(llama.precision),
                     llama.max_image_tokens);
}

void keep(const ReuseSetup& reuse, engine::EngineOptions& options) {
  if (reuse.kind != ReuseKind::all) options.answer_cache_bytes = 0;
  if (reuse.kind == ReuseKind::none) options.embedding_cache_bytes = 0;
}

engine::ModelSizes sizes_of(const ModelInfo& info) {
  return {
      .weights_bytes = info.file_bytes - info.projector_bytes,
      .projector_bytes = info.projector_bytes,
      .n_layer = info.n_layer,
      .n_embd = info.n_embd,
      .n_ff = info.n_ff,
      .n_head_kv = info.n_head_kv,
      .head_size = info.head_size,
      .vocab_size = info.vocab_size,
      .deepstack_count = info.deepstack_count,
      .vision_width = info.vision_width,
      .vision_ff = info.vision_ff,
      .vision_heads = info.vision_heads,
      .vision_windows = info.vision_windows,
      .vision_layers = info.vision_layers,
      .patch_px = info.patch_size,
      .merge = info.merge_size,
  };
}

// How an engine is to be made.
struct EnginePlan {
  engine::LlamaOptions llama;
  engine::EngineOptions options;
  std::optional<std::uint64_t> frames;  // no more than these come
  int promised_tokens = 0;              // of context that one sequence must be able to have
};

engine::MemoryUse use_of(const EnginePlan& plan) {
  engine::MemoryUse use = {.shape = {.slots = plan.llama.slots, .context_tokens = plan.llama.context_tokens},
                           .frames = plan.frames};
  if (plan.options.text_only) return use;
  use.image_tokens = plan.llama.max_image_tokens;
  use.keeps_patches = plan.llama.patches.has_value();
  use.cache_bytes = plan.options.embedding_cache_bytes + plan.options.answer_cache_bytes;
  return use;
}

// Cuts the slots down to what there is memory for as the context is made, and then bounds what it may grow to.
Status fit(const ChosenModel& model, int limit_mb, const std::function<void(const std::string&)>& say,
           EnginePlan& plan) {
  const std::optional<std::uint64_t> available = engine_memory(limit_mb);
  if (!available) return {};
  const engine::ModelSizes sizes = sizes_of(model.info);
  engine::MemoryUse use = use_of(plan);
  const engine::MemoryNeed wanted = engine::memory_need(sizes, use);
  engine::MemoryUse one = use;
  one.shape = {.slots = 1, .context_tokens = plan.promised_tokens};
  const engine::MemoryNeed least = engine::memory_need(sizes, one);
  const std::optional<int> slots = engine::slots_that_fit(sizes, use, *available);
  if (!slots || least.total_bytes() > *available) {
    return fail(
        Errc::out_of_memory,
        "{} needs {} of memory ({}) for one frame at a time, and {} can be had{}; choose a quantised or smaller "
        "model, or lower --max-tokens or --max-image-tokens",
        model.files.name, human_bytes(least.total_bytes()), parts_of(least), human_bytes(*available),
        limit_mb > 0 ? " (ESCRIBANO_MEMORY_LIMIT_MB)" : "");
  }
  if (*slots < use.shape.slots) {
    use.shape.slots = *slots;
    say(fmt::format("{} at once in place of {}, which {} would need {} of memory for; {} can be had", *slots,
                    plan.llama.slots, model.files.name, human_bytes(wanted.total_bytes()), human_bytes(*available)));
    plan.llama.slots = plan.options.slots = *slots;
  }
  const engine::ShapeLimits limits = engine::limits_that_fit(sizes, use,
                                                             {.normal = use.shape,
                                                              .max_context_tokens = plan.options.max_context_tokens,
                                                              .max_total_tokens = plan.options.max_total_tokens},
                                                             *available);
  plan.options.max_context_tokens = limits.max_context_tokens;
  plan.options.max_total_tokens = limits.max_total_tokens;
  return {};
}

int rounded_up(int value, int unit) { return (value + unit - 1) / unit * unit; }

// How to come by a model that is not here.
Error with_advice(Error error, const std::string& name) {
  if (error.code == Errc::not_found && is_hub_name(name)) {
    error.message += fmt::format("; 'escribano models pull {}' downloads it", name);
  }
  return error;
}

// Without the files.
EnginePlan daemon_plan(const ModelInfo& info, const DaemonSetup& setup) {
  EnginePlan plan;
  engine::LlamaOptions& llama = plan.llama;
  engine::EngineOptions& options = plan.options;
  llama.threads = setup.threads;
  llama.kernels = setup.kernels;
  llama.precision = setup.precision;
  if (setup.patches) llama.patches.emplace();
  options.text_only = setup.text_only;
  if (!setup.drafts) options.draft_tokens = 0;
  int context = kTextContextTokens;
  if (setup.text_only) {
    llama.slots = 1;
  } else {
    options.pixel_rule = pixel_rule(info, setup.max_image_tokens);
    llama.max_image_tokens = max_image_tokens(options.pixel_rule);
    llama.slots = setup.batch_size;
    const int frame_budget = std::max(1, setup.max_tokens / setup.batch_size);
    context = std::min(llama.max_image_tokens, kOrdinaryImageTokens) + kInstructionTokens + 2 * frame_budget;
    keep(setup.reuse, options);
  }
  if (info.max_frames_per_prompt) options.max_frames_per_prompt = static_cast<int>(*info.max_frames_per_prompt);
  const int limit =
      std::min(static_cast<int>(info.n_ctx_train > 0 ? info.n_ctx_train : kMaxContextTokens), kMaxContextTokens);
  llama.context_tokens = std::min(rounded_up(context, 256), limit);
  plan.promised_tokens = llama.context_tokens;
  options.slots = llama.slots;
  options.context_tokens = llama.context_tokens;
  options.max_context_tokens = limit;
  options.max_total_tokens = std::max(llama.slots * llama.context_tokens, limit);
  return plan;
}

// Of one slot, for one request whose pictures nobody has seen yet.
struct ContextRange {
  int ordinary = 0;  // for frames of ordinary size and an instruction in prose
  int largest = 0;   // for the largest frames that the model takes
};

ContextRange context_range(const EngineSetup& setup, int frames_a_prompt, int image_tokens, int n_ctx_train) {
  // Twice the budget: a truncated answer is given that much room once. The rest of the turn is a few marks.
  const int beside = 2 * setup.max_tokens + 64;
  const int label_tokens = setup.strategy == engine::Strategy::parallel ? 0 : 24;
  const auto tokens = [&](int image, int bytes_a_token) {
    const int prompt = frames_a_prompt * (image + label_tokens) + setup.prompt_bytes / bytes_a_token + beside;
    return std::min(rounded_up(prompt, 256), n_ctx_train);
  };
  // A token has four bytes and more in prose, and two on average even in dense code.
  return {.ordinary = tokens(std::min(image_tokens, kOrdinaryImageTokens), 4), .largest = tokens(image_tokens, 2)};
}

void set_context(const ContextRange& range, EnginePlan& plan) {
  plan.llama.context_tokens = range.ordinary;
  plan.promised_tokens = range.largest;
  plan.options.slots = plan.llama.slots;
  plan.options.context_tokens = range.ordinary;
  plan.options.max_context_tokens = range.largest;
  plan.options.keep_larger_context = true;
  if (range.ordinary == range.largest) return;  // nothing to grow to: the shape is fixed
  const std::int64_t total = std::int64_t{plan.llama.slots} * range.largest;
  plan.options.max_total_tokens = static_cast<int>(std::min<std::int64_t>(total, std::numeric_limits<int>::max()));
}

Result<std::unique_ptr<engine::Engine>> load(EnginePlan& plan, const ReuseSetup& reuse) {
  if (reuse.kind != ReuseKind::none && !reuse.folder.empty() && !plan.llama.projector.empty()) {
    ESCRIBANO_TRY(std::string identity, embedding_identity(plan.llama));
    plan.options.embedding_folder = {
        .path = reuse.folder, .identity = std::move(identity), .limit_bytes = reuse.folder_bytes};
  }
  if (!plan.llama.projector.empty() && plan.llama.patches && !plan.llama.kernels) {
    return fail(Errc::invalid_argument, "ESCRIBANO_PATCHES=changed needs the kernels, and ESCRIBANO_KERNELS is false");
  }
  ESCRIBANO_TRY(std::unique_ptr<engine::Backend> backend, engine::load_llama_backend(plan.llama));
  return engine::Engine::start(std::move(backend), plan.options);
}

}  // namespace

std::filesystem::path huggingface_cache(const Environment& environment) {
  if (const auto hub = environment("HF_HUB_CACHE"); hub && !hub->empty()) return *hub;
  if (const auto home = environment("HF_HOME"); home && !home->empty()) return std::filesystem::path(*home) / "hub";
  if (const auto home = environment("HOME"); home && !home->empty()) {
    return std::filesystem::path(*home) / ".cache" / "huggingface" / "hub";
  }
  return {};
}

ResolveOptions model_places(const std::filesystem::path& home, const Environment& environment) {
  ResolveOptions options;
  options.home = home;
  options.demo_folder = assets_folder(environment) / "demo-model";
  options.hf_hub = huggingface_cache(environment);
  return options;
}

Result<ChosenModel> find_model(const ModelChoice& choice, const std::filesystem::path& home,
                               const Environment& environment, const std::function<void(const std::string&)>& say) {
  ResolveOptions options = model_places(home, environment);
  options.projector = choice.projector;
  options.import = choice.import;
  options.progress = [bar = ImportBar()](const ImportProgress& progress) mutable { return bar.show(progress); };
  auto files = resolve_model(choice.name, options);
  if (!files && files.error().code == Errc::not_found && choice.or_demo) {
    say(fmt::format("{} is not on this machine; using the demo model, which knows synthetic screens only",
                    choice.name));
    files = resolve_model("demo", options);
  }
  if (!files) return fail(with_advice(files.error(), choice.name));
  ESCRIBANO_TRY(ModelInfo info, check_model(*files));
  if (choice.needs_vision && !info.has_vision) {
    return fail(no_vision_error(*files));
  }
  return ChosenModel{*std::move(files), std::move(info)};
}

ImportOptions checked_import(const Settings& settings, const Environment& environment,
                             std::optional<Quantization> quantize) {
  DaemonSetup setup = daemon_setup(settings);
  setup.batch_size = 1;
  setup.reuse = {.kind = ReuseKind::none};
  setup.patches = false;
  return {.quantize = quantize,
          .quantizer = engine::quantize_gguf,
          .verify = [setup, picture = self_check_picture(environment)](const ModelFiles& files) -> Status {
            ESCRIBANO_TRY(ModelInfo info, check_model(files));
            ESCRIBANO_TRY(const Image image, load_image(picture, {}));
            ESCRIBANO_TRY(const std::unique_ptr<engine::Engine> engine,
                          start_daemon_engine(ChosenModel{files, std::move(info)}, setup));
            return bridge::self_check(*engine, image);
          }};
}

Result<ChosenModel> choose_model(const Settings& settings, const Environment& environment,
                                 const std::filesystem::path& projector) {
  const ModelChoice choice = {
      .name = settings.vlm_model.value, .or_demo = settings.vlm_model.is_default(), .projector = projector};
  return find_model(choice, settings.home, environment, tell);
}

void tell(const std::string& line) { fmt::print(stderr, "escribano: {}\n", line); }

ReuseSetup reuse_setup(const Settings& settings) {
  ReuseSetup reuse = {.kind = settings.reuse.value};
  if (settings.embedding_cache_mb.value > 0) reuse.folder = settings.embedding_cache();
  reuse.folder_bytes = static_cast<std::uint64_t>(settings.embedding_cache_mb.value) << 20;
  return reuse;
}

DaemonSetup daemon_setup(const Settings& settings) {
  return {.batch_size = settings.vlm_batch_size.value,
          .max_tokens = settings.vlm_max_tokens.value,
          .kernels = settings.kernels.value,
          .precision = settings.products.value,
          .patches = settings.patches.value == PatchKind::changed,
          .drafts = settings.drafts.value,
          .memory_limit_mb = settings.memory_limit_mb.value,
          .reuse = reuse_setup(settings)};
}

Result<std::unique_ptr<engine::Engine>> start_engine(const ChosenModel& model, const EngineSetup& setup) {
  const ModelInfo& info = model.info;
  const PixelRule rule = pixel_rule(info, setup.max_image_tokens);
  const int image_tokens = max_image_tokens(rule);

  EnginePlan plan;
  engine::EngineOptions& options = plan.options;
  options.pixel_rule = rule;
  if (!setup.drafts) options.draft_tokens = 0;
  if (info.max_frames_per_prompt) {
    options.max_frames_per_prompt = static_cast<int>(*info.max_frames_per_prompt);
  }

  engine::LlamaOptions& llama = plan.llama;
  llama.model = model.files.model;
  llama.projector = model.files.projector;
  llama.threads = setup.threads;
  llama.kernels = setup.kernels;
  llama.precision = setup.precision;
  if (setup.patches) llama.patches.emplace();
  llama.max_image_tokens = image_tokens;
  plan.frames = static_cast<std::uint64_t>(setup.frames);
  int frames_a_prompt = 1;
  if (setup.strategy == engine::Strategy::parallel) {
    llama.slots = std::min(setup.batch_size, setup.frames);
  } else {
    frames_a_prompt = std::min({setup.batch_size, options.max_frames_per_prompt, setup.frames});
    const int prompts = (setup.frames + frames_a_prompt - 1) / frames_a_prompt;
    llama.slots = std::min(prompts, kInterleavedSlots);
    if (frames_a_prompt < std::min(setup.batch_size, setup.frames)) {
      fmt::print(stderr, "escribano: {} takes up to {} frames a prompt; batches of {} are split\n", model.files.name,
                 frames_a_prompt, setup.batch_size);
    }
  }
  set_context(context_range(setup, frames_a_prompt, image_tokens, static_cast<int>(info.n_ctx_train)), plan);
  keep(setup.reuse, options);
  ESCRIBANO_CHECK(fit(model, setup.memory_limit_mb, tell, plan));
  return load(plan, setup.reuse);
}

Result<std::unique_ptr<engine::Engine>> start_daemon_engine(const ChosenModel& model, const DaemonSetup& setup) {
  EnginePlan plan = daemon_plan(model.info, setup);
  plan.llama.model = model.files.model;
  if (!setup.text_only) plan.llama.projector = model.files.projector;
  const auto say = [](const std::string& line) { log::warn("{}", line); };
  ESCRIBANO_CHECK(fit(model, setup.memory_limit_mb, say, plan));
  return load(plan, setup.reuse);
}

engine::MemoryNeed daemon_memory(const ModelInfo& info, const DaemonSetup& setup) {
  return engine::memory_need(sizes_of(info), use_of(daemon_plan(info, setup)));
}

std::optional<int> daemon_slots(const ModelInfo& info, const DaemonSetup& setup, std::uint64_t available_bytes) {
  return engine::slots_that_fit(sizes_of(info), use_of(daemon_plan(info, setup)), available_bytes);
}

std::string parts_of(const engine::MemoryNeed& need) {
  return fmt::format("weights {}, context {}, compute {}, caches {}, program {}", human_bytes(need.weights_bytes),
                     human_bytes(need.context_bytes), human_bytes(need.compute_bytes), human_bytes(need.cache_bytes),
                     human_bytes(need.program_bytes));
}

}  // namespace escribano::cli
