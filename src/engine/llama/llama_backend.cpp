#include "engine/llama/llama_backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <ggml.h>
#include <llama.h>
#include <mtmd.h>

#include "base/file.h"
#include "base/log.h"
#include "engine/llama/kept_picture.h"
#include "engine/llama/kernel_device.h"
#include "engine/llama/llama_log.h"
#include "engine/llama/llama_system.h"

namespace escribano::engine {
namespace {

// Why there is kExactAttentionTokens: flash attention rounds keys and values to half precision, which moves vision features by up to 0.02 (the golden cases);
// without it they stay within 0.01 of the reference. The exact way makes the vision tower a third slower at 252 tokens an
// image (docs/performance.md), and its share grows with the square of their number, so it ends there.

struct ModelDeleter {
  void operator()(llama_model* p) const noexcept { llama_model_free(p); }
};
struct ContextDeleter {
  void operator()(llama_context* p) const noexcept { llama_free(p); }
};
using ModelPtr = std::unique_ptr<llama_model, ModelDeleter>;
using ContextPtr = std::unique_ptr<llama_context, ContextDeleter>;

// "what failed: what llama.cpp said".
std::string with_reason(std::string what) {
  if (const std::string reason = take_llama_error(); !reason.empty()) what += ": " + reason;
  return what;
}

class MtmdImage final : public PreparedImage {
 public:
  MtmdImage(mtmd::input_chunks_ptr chunks, const mtmd_input_chunk* image, std::vector<std::uint64_t> blocks)
      : chunks_(std::move(chunks)), image_(image), blocks_(std::move(blocks)) {}
  const mtmd_input_chunk* image() const noexcept { return image_; }
  const std::vector<std::uint64_t>& blocks() const noexcept { return blocks_; }

 private:
  mtmd::input_chunks_ptr chunks_;
  const mtmd_input_chunk* image_;      // one of chunks_
  std::vector<std::uint64_t> blocks_;  // hashes, if only what changed is to be computed
};

// A picture of so many pixels a side is enough to see what a vision tower is made of.
constexpr int kProbePixels = 128;

// Columns and rows of an image's tokens.
std::pair<int, int> grid_of(const mtmd_input_chunk* chunk) {
  const mtmd_image_tokens* tokens = mtmd_input_chunk_get_tokens_image(chunk);
  const mtmd_decoder_pos last = mtmd_image_tokens_get_decoder_pos(tokens, 0, mtmd_input_chunk_get_n_tokens(chunk) - 1);
  return {static_cast<int>(last.x) + 1, static_cast<int>(last.y) + 1};
}

Vocabulary read_vocabulary(const llama_vocab* vocab) {
  const int size = llama_vocab_n_tokens(vocab);
  std::vector<std::string> pieces(static_cast<std::size_t>(size));
  std::vector<bool> ends(static_cast<std::size_t>(size));
  std::string buffer(256, '\0');
  for (int token = 0; token < size; ++token) {
    const auto at = static_cast<std::size_t>(token);
    ends[at] = llama_vocab_is_eog(vocab, token);
    int length = llama_token_to_piece(vocab, token, buffer.data(), static_cast<int>(buffer.size()), 0, false);
    if (length < 0) {
      buffer.resize(static_cast<std::size_t>(-length));
      length = llama_token_to_piece(vocab, token, buffer.data(), static_cast<int>(buffer.size()), 0, false);
    }
    if (length > 0) pieces[at].assign(buffer, 0, static_cast<std::size_t>(length));
  }
  return Vocabulary(pieces, std::move(ends));
}

// Arrays of a llama_batch. Positions have four planes of n for embeddings under M-RoPE (t, y, x, unused), else one.
class Batch {
 public:
  void reset(std::size_t n, std::size_t position_planes) {
    tokens_.resize(n);
    positions_.assign(n * position_planes, 0);
    sequence_.resize(n);
    sequence_pointers_.resize(n);
    sequence_counts_.assign(n, 1);
    wants_logits_.assign(n, 0);
    for (std::size_t i = 0; i < n; ++i) sequence_pointers_[i] = &sequence_[i];
  }
  void set_token(std::size_t i, int slot, Token token, Position position, bool want_logits) {
    tokens_[i] = token;
    positions_[i] = position;
    sequence_[i] = slot;
    wants_logits_[i] = want_logits ? 1 : 0;
  }
  void set_slot(int slot) { std::fill(sequence_.begin(), sequence_.end(), slot); }
  Position& position(std::size_t plane, std::size_t i) { return positions_[plane * sequence_.size() + i]; }

  llama_batch view(const float* embeddings) {
    return llama_batch{
        .n_tokens = static_cast<std::int32_t>(sequence_.size()),
        .token = embeddings == nullptr ? tokens_.data() : nullptr,
        .embd = const_cast<float*>(embeddings),  // llama.cpp only reads it
        .pos = positions_.data(),
        .n_seq_id = sequence_counts_.data(),
        .seq_id = sequence_pointers_.data(),
        .logits = wants_logits_.data(),
    };
  }

 private:
  std::vector<Token> tokens_;
  std::vector<Position> positions_;
  std::vector<llama_seq_id> sequence_;
  std::vector<llama_seq_id*> sequence_pointers_;
  std::vector<std::int32_t> sequence_counts_;
  std::vector<std::int8_t> wants_logits_;
};

class LlamaBackend final : public Backend {
 public:
  static Result<std::unique_ptr<Backend>> load(const LlamaOptions& options);

  int slots() const noexcept override { return slots_; }
  int context_tokens() const noexcept override { return context_tokens_; }
  double step_cost_rows() const noexcept override;
  bool has_vision() const noexcept override { return vision_ != nullptr; }
  const Vocabulary& vocabulary() const noexcept override { return *vocabulary_; }

  std::string_view chat_template() const noexcept override;
  Result<std::string> format_chat(std::span<const ChatTurn> turns) const override;
  std::optional<Token> first_token() const noexcept override;
  Result<std::vector<Token>> tokenize(std::string_view text, bool parse_special) const override;
  Result<std::unique_ptr<PreparedImage>> prepare(const Image& image) const override;
  Result<ImageEmbedding> encode(const PreparedImage& image) override;
  Status prefill(int slot, std::span<const Token> tokens, Position from, bool want_logits) override;
  Status prefill(int slot, const ImageEmbedding& image, Position from) override;
  Status decode(std::span<const DecodeRow> rows) override;
  std::span<const float> logits(int row) override;
  void truncate(int slot, Position from) override;
  Status reshape(int slots, int context_tokens) override;
  void arm() noexcept override { interrupted_.store(false, std::memory_order_relaxed); }
  void interrupt() noexcept override { interrupted_.store(true, std::memory_order_relaxed); }

 private:
  Status load_vision(const LlamaOptions& options);
  Status keep_pictures(const PatchRule& rule);
  Status run_vision(const mtmd_input_chunk* chunk, PatchWork* work);
  static bool on_vision_node(ggml_tensor* tensor, bool ask, void* self);
  Status make_context(int slots, int context_tokens);
  Status run(llama_batch batch, std::string_view what);

  // Constant after load().
  ModelPtr model_;
  mtmd::context_ptr vision_;
  std::optional<Vocabulary> vocabulary_;
  int threads_ = 0;
  ggml_backend_device* kernels_ = nullptr;  // not owned; nullptr: not used
  bool kernels_decode_ = false;             // decode steps, too
  Precision precision_ = Precision::exact;  // of what kernels_ computes
  // Engine thread only.
  int slots_ = 0;
  int context_tokens_ = 0;
  ContextPtr context_;
  Batch batch_;
  bool last_was_prefill_ = false;
  std::optional<KeptPicture>
      kept_;                       // if only what changed is to be computed; that it is there is constant after load()
  PatchWork* encoding_ = nullptr;  // of the running encode
  // Any thread.
  std::atomic<bool> interrupted_ = false;
};

// Quantised weights are for llama.cpp to multiply, and what lies between the products then, too.
bool has_plain_weights(const llama_model& model) {
  switch (llama_model_ftype(&model)) {
    case LLAMA_FTYPE_ALL_F32:
    case LLAMA_FTYPE_MOSTLY_F16:
    case LLAMA_FTYPE_MOSTLY_BF16: return true;
    default: return false;
  }
}

// Reading weights that lie in the processor's cache takes our kernels as long as computing two or three rows with them;
// from memory it is nine to thirteen (docs/performance.md). Others compute a row more slowly.
double LlamaBackend::step_cost_rows() const noexcept {
  constexpr std::uint64_t kCacheBytes = 64U << 20;
  return kernels_decode_ && llama_model_size(model_.get()) > kCacheBytes ? 10 : 3;
}

// Fewer bits than the weights have are never asked for in vain.
Status check_precision(const LlamaOptions& options) {
  if (options.precision == Precision::exact) return {};
  const char* obstacle = precision_obstacle(options.precision);
  if (!options.kernels) obstacle = "our own kernels are turned off (ESCRIBANO_KERNELS)";
  if (options.gpu_layers != 0 && llama_supports_gpu_offload()) obstacle = "the model is computed on a GPU";
  if (obstacle == nullptr) return {};
  return fail(Errc::unsupported, "products in {} (ESCRIBANO_PRODUCTS) are not possible: {}",
              precision_name(options.precision), obstacle);
}

Result<std::unique_ptr<Backend>> LlamaBackend::load(const LlamaOptions& options) {
  if (options.slots < 1 || options.slots > 255) {
    return fail(Errc::invalid_argument, "{} sequences at once were asked for; 1 to 255 are possible", options.slots);
  }
  ESCRIBANO_CHECK(check_precision(options));
  capture_llama_log();
  llama_backend_init();
  auto backend = std::make_unique<LlamaBackend>();
  backend->threads_ = options.threads > 0 ? options.threads : usable_processors();
  backend->precision_ = options.precision;
  if (options.kernels) backend->kernels_ = kernel_device(backend->threads_);
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = options.gpu_layers;
  take_llama_error();
  backend->model_.reset(llama_model_load_from_file(options.model.c_str(), params));
  if (!backend->model_) {
    return fail(Errc::model_invalid, "{}", with_reason(printable(options.model) + " cannot be loaded"));
  }
  backend->kernels_decode_ = backend->kernels_ != nullptr && has_plain_weights(*backend->model_);
  backend->vocabulary_.emplace(read_vocabulary(llama_model_get_vocab(backend->model_.get())));
  if (!options.projector.empty()) ESCRIBANO_CHECK(backend->load_vision(options));
  ESCRIBANO_CHECK(backend->make_context(options.slots, options.context_tokens));
  return std::unique_ptr<Backend>(std::move(backend));
}

Status LlamaBackend::load_vision(const LlamaOptions& options) {
  mtmd_context_params params = mtmd_context_params_default();
  params.use_gpu = options.gpu_layers != 0;
  if (kernels_ != nullptr && !(params.use_gpu && llama_supports_gpu_offload())) {
    params.use_gpu = true;  // only so is a device of one's own taken
    params.device = kernels_;
  }
  params.print_timings = false;
  params.n_threads = threads_;
  params.flash_attn_type = options.max_image_tokens <= kExactAttentionTokens ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                                             : LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.warmup = false;
  // We resize ourselves, the way the model's own processor does; these limits only must not make libmtmd do it again.
  params.image_min_tokens = 1;
  params.image_max_tokens = options.max_image_tokens;
  params.cb_eval = on_vision_node;
  params.cb_eval_user_data = this;
  vision_.reset(mtmd_init_from_file(options.projector.c_str(), model_.get(), params));
  if (!vision_) {
    return fail(Errc::model_invalid, "{}", with_reason(printable(options.projector) + " cannot be loaded"));
  }
  if (!mtmd_support_vision(vision_.get())) {
    return fail(Errc::no_vision, "{} has no vision tower", printable(options.projector));
  }
  if (!mtmd_decode_use_mrope(vision_.get()) || mtmd_decode_use_non_causal(vision_.get(), nullptr)) {
    return fail(Errc::unsupported, "{} is not of the Qwen-VL family", printable(options.projector));
  }
  if (options.patches) return keep_pictures(*options.patches);
  return {};
}

// Only a vision tower whose every attention the kernels compute can do with what changed: seen by looking at a small
// picture.
Status LlamaBackend::keep_pictures(const PatchRule& rule) {
  constexpr std::string_view kNotPossible = "computing only what changed (ESCRIBANO_PATCHES=changed) is not possible";
  if (kernels_ == nullptr) {
    return fail(Errc::unsupported,
                "{}: our own kernels are turned off (ESCRIBANO_KERNELS), or this processor has no AVX-512 with bf16",
                kNotPossible);
  }
  kept_.emplace(rule);
  Image grey = {.width_px = kProbePixels, .height_px = kProbePixels, .rgb = {}};
  grey.rgb.assign(std::size_t{3} * kProbePixels * kProbePixels, 128);
  ESCRIBANO_TRY(const std::unique_ptr<PreparedImage> picture, prepare(grey));
  // On a thread that ends: libgomp keeps threads for each one that ever computed, and where they are more than the processors
  // it lets all of them sleep between two loops, which costs a third of a prefill.
  Status seen;
  std::thread([&] {
    if (const auto embedding = encode(*picture); !embedding) seen = fail(embedding.error());
  }).join();
  ESCRIBANO_CHECK(seen);
  if (!kept_->usable()) {
    return fail(Errc::unsupported,
                "{}: this vision tower is not computed by our own kernels as a whole, or lies on a GPU", kNotPossible);
  }
  kept_->forget();
  return {};
}

// Lets interrupt() stop an encode: asks for a look after each layer, goes on unless interrupted. And puts the patches that
// are to be computed where PatchWork wants them, once they are embedded.
bool LlamaBackend::on_vision_node(ggml_tensor* tensor, bool ask, void* self) {
  auto& backend = *static_cast<LlamaBackend*>(self);
  const bool embedded = backend.encoding_ != nullptr && std::strcmp(tensor->name, "inp_pos_emb") == 0;
  if (ask) return embedded || std::strncmp(tensor->name, "layer_out", 9) == 0;
  if (embedded) {
    begin_patches(tensor, *backend.encoding_);
  } else if (backend.encoding_ != nullptr && tensor->op == GGML_OP_ADD) {  // not a view of it
    ++backend.encoding_->layers_done;
  }
  return !backend.interrupted_.load(std::memory_order_relaxed);
}

Status LlamaBackend::make_context(int slots, int context_tokens) {
  slots_ = 0;
  context_tokens_ = 0;
  context_.reset();  // first: the memory may not suffice for two
  // Two streams at least: a decode step always has two rows (see plan/planner.h, decode_rows), so that a sequence meets
  // the same kernels alone as in company.
  const int streams = std::max(2, slots);
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>(context_tokens) * static_cast<std::uint32_t>(streams);
  params.n_batch = static_cast<std::uint32_t>(std::max({context_tokens, streams, kMaxStepRows}));
  params.n_ubatch = static_cast<std::uint32_t>(std::max(kUbatchTokens, streams));
  params.n_seq_max = static_cast<std::uint32_t>(streams);
  params.n_outputs_max = static_cast<std::uint32_t>(std::max(kMaxStepRows, streams));
  params.n_threads = threads_;
  params.n_threads_batch = threads_;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
  params.kv_unified = false;  // a stream of its own for each sequence: no sequence ever looks at another's cells
  params.no_perf = true;
  params.abort_callback = [](void* self) {
    return static_cast<LlamaBackend*>(self)->interrupted_.load(std::memory_order_relaxed);
  };
  params.abort_callback_data = this;
  take_llama_error();
  context_.reset(llama_init_from_model(model_.get(), params));
  if (!context_) {
    return fail(Errc::out_of_memory, "{}",
                with_reason(fmt::format("no context for {} sequences of {} tokens", slots, context_tokens)));
  }
  slots_ = slots;
  // llama.cpp rounds up to a multiple of 256. What was asked for may be all that the model was trained on.
  context_tokens_ = std::min(context_tokens, static_cast<int>(llama_n_ctx_seq(context_.get())));
  return {};
}

Status LlamaBackend::reshape(int slots, int context_tokens) {
  if (slots < 1 || slots > 255 || context_tokens < 1) {
    return fail(Errc::invalid_argument, "{} sequences of {} tokens were asked for; 1 to 255 are possible", slots,
                context_tokens);
  }
  const int old_slots = slots_;
  const int old_context_tokens = context_tokens_;
  Status made = make_context(slots, context_tokens);
  // If this fails, too, there is no context: run() says so, and the next reshape may have more luck.
  if (!made && old_slots > 0) static_cast<void>(make_context(old_slots, old_context_tokens));
  return made;
}

std::string_view LlamaBackend::chat_template() const noexcept {
  const char* text = llama_model_chat_template(model_.get(), nullptr);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

Result<std::string> LlamaBackend::format_chat(std::span<const ChatTurn> turns) const {
  std::vector<llama_chat_message> messages;
  for (const ChatTurn& turn : turns) messages.push_back({turn.role.c_str(), turn.content.c_str()});
  const char* text = llama_model_chat_template(model_.get(), nullptr);
  std::string formatted;
  while (true) {
    const std::int32_t length =
        llama_chat_apply_template(text, messages.data(), messages.size(), /*add_ass=*/true, formatted.data(),
                                  static_cast<std::int32_t>(formatted.size()));
    if (length < 0) {
      return fail(Errc::unsupported, "the model's chat template is of no kind that llama.cpp knows");
    }
    const bool complete = static_cast<std::size_t>(length) <= formatted.size();
    formatted.resize(static_cast<std::size_t>(length));
    if (complete) return formatted;
  }
}

std::optional<Token> LlamaBackend::first_token() const noexcept {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const Token token = llama_vocab_bos(vocab);
  if (!llama_vocab_get_add_bos(vocab) || token == LLAMA_TOKEN_NULL) return std::nullopt;
  return token;
}

Result<std::vector<Token>> LlamaBackend::tokenize(std::string_view text, bool parse_special) const {
  const llama_vocab* vocab = llama_model_get_vocab(model_.get());
  const auto length = static_cast<std::int32_t>(text.size());
  std::vector<Token> tokens(text.size() + 2);
  int count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()),
                             /*add_special=*/false, parse_special);
  if (count < 0) {
    tokens.resize(static_cast<std::size_t>(-count));
    count = llama_tokenize(vocab, text.data(), length, tokens.data(), static_cast<std::int32_t>(tokens.size()), false,
                           parse_special);
  }
  if (count < 0) return fail(Errc::inference_failed, "the prompt cannot be tokenised");
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

Result<std::unique_ptr<PreparedImage>> LlamaBackend::prepare(const Image& image) const {
  if (!vision_) return fail(Errc::no_vision, "the model has no vision tower");
  mtmd::bitmap bitmap(static_cast<std::uint32_t>(image.width_px), static_cast<std::uint32_t>(image.height_px),
                      image.rgb.data());
  const mtmd_input_part part = {.text = nullptr, .bitmap = bitmap.ptr.get()};
  const mtmd_input_part* parts[] = {&part};
  mtmd::input_chunks_ptr chunks(mtmd_input_chunks_init());
  if (const int status = mtmd_tokenize_from_parts(vision_.get(), chunks.get(), parts, 1, false); status != 0) {
    return fail(Errc::inference_failed, "{}", with_reason("the image cannot be prepared"));
  }
  for (std::size_t i = 0; i < mtmd_input_chunks_size(chunks.get()); ++i) {
    const mtmd_input_chunk* chunk = mtmd_input_chunks_get(chunks.get(), i);
    if (mtmd_input_chunk_get_type(chunk) != MTMD_INPUT_CHUNK_TYPE_IMAGE) continue;
    std::vector<std::uint64_t> blocks;
    if (kept_) {
      const auto [columns, rows] = grid_of(chunk);
      blocks = block_hashes(image, columns, rows);
    }
    return std::make_unique<MtmdImage>(std::move(chunks), chunk, std::move(blocks));
  }
  return fail(Errc::internal, "libmtmd made no image of an image");
}

Status LlamaBackend::run_vision(const mtmd_input_chunk* chunk, PatchWork* work) {
  const KernelScope scope(kernels_ != nullptr, {.precision = precision_, .patches = work});
  encoding_ = work;
  const int status = mtmd_encode_chunk(vision_.get(), chunk);
  encoding_ = nullptr;
  if (interrupted_.load(std::memory_order_relaxed)) return fail(Errc::cancelled, "cancelled");
  if (status != 0) return fail(Errc::inference_failed, "{}", with_reason("the vision tower failed"));
  return {};
}

Result<ImageEmbedding> LlamaBackend::encode(const PreparedImage& image) {
  const auto* prepared = dynamic_cast<const MtmdImage*>(&image);
  if (prepared == nullptr) return fail(Errc::internal, "an image prepared by another backend");
  const mtmd_input_chunk* chunk = prepared->image();
  ImageEmbedding embedding;
  embedding.tokens = static_cast<int>(mtmd_input_chunk_get_n_tokens(chunk));
  embedding.width = llama_model_n_embd_inp(model_.get());
  embedding.positions = mtmd_input_chunk_get_n_pos(chunk);
  std::tie(embedding.columns, embedding.rows) = grid_of(chunk);
  if (kept_) {
    const auto compute = [&](PatchWork* work) -> Result<const float*> {
      ESCRIBANO_CHECK(run_vision(chunk, work));
      return mtmd_get_output_embd(vision_.get());
    };
    return kept_->encode(std::move(embedding), prepared->blocks(), compute);
  }
  ESCRIBANO_CHECK(run_vision(chunk, nullptr));
  const float* values = mtmd_get_output_embd(vision_.get());
  embedding.values.assign(
      values, values + static_cast<std::size_t>(embedding.tokens) * static_cast<std::size_t>(embedding.width));
  return embedding;
}

Status LlamaBackend::run(llama_batch batch, std::string_view what) {
  if (!context_) return fail(Errc::out_of_memory, "there is no memory for a context");
  take_llama_error();
  switch (const int status = llama_decode(context_.get(), batch); status) {
    case 0: return {};
    case 1: return fail(Errc::context_full, "{}: no room left in the context", what);
    case 2: return fail(Errc::cancelled, "cancelled");
    default: return fail(Errc::inference_failed, "{}", with_reason(fmt::format("{} failed ({})", what, status)));
  }
}

Status LlamaBackend::prefill(int slot, std::span<const Token> tokens, Position from, bool want_logits) {
  last_was_prefill_ = true;
  batch_.reset(tokens.size(), 1);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool last = i + 1 == tokens.size();
    batch_.set_token(i, slot, tokens[i], from + static_cast<Position>(i), want_logits && last);
  }
  // A few tokens are bound by reading the weights, as a decode step is.
  const bool few = kernels_decode_ && tokens.size() < kFewestPackedRows;
  const KernelScope scope(kernels_ != nullptr, {.precision = precision_, .few_rows = few});
  return run(batch_.view(nullptr), "prefill");
}

Status LlamaBackend::prefill(int slot, const ImageEmbedding& image, Position from) {
  const auto n = static_cast<std::size_t>(image.tokens);
  batch_.reset(n, 4);
  batch_.set_slot(slot);
  for (std::size_t i = 0; i < n; ++i) {
    batch_.position(0, i) = from;
    batch_.position(1, i) = from + static_cast<Position>(i) / image.columns;
    batch_.position(2, i) = from + static_cast<Position>(i) % image.columns;
  }
  const KernelScope scope(kernels_ != nullptr, {.precision = precision_});
  return run(batch_.view(image.values.data()), "image prefill");
}

Status LlamaBackend::decode(std::span<const DecodeRow> rows) {
  last_was_prefill_ = false;
  batch_.reset(rows.size(), 1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    batch_.set_token(i, rows[i].slot, rows[i].token, rows[i].position, true);
  }
  const KernelScope scope(kernels_decode_, {.few_rows = true});
  return run(batch_.view(nullptr), "decode");
}

std::span<const float> LlamaBackend::logits(int row) {
  if (!context_) return {};
  const float* values = llama_get_logits_ith(context_.get(), last_was_prefill_ ? -1 : row);
  if (values == nullptr) return {};
  return {values, static_cast<std::size_t>(vocabulary_->size())};
}

void LlamaBackend::truncate(int slot, Position from) {
  if (context_) llama_memory_seq_rm(llama_get_memory(context_.get()), slot, from == 0 ? -1 : from, -1);
}

}  // namespace

Result<std::unique_ptr<Backend>> load_llama_backend(const LlamaOptions& options) { return LlamaBackend::load(options); }

}  // namespace escribano::engine
