#include "models/import.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "models/float_convert.h"
#include "models/gguf_writer.h"
#include "models/hf_config.h"
#include "models/hf_tokenizer.h"
#include "models/import_cache.h"
#include "models/tensor_plan.h"

namespace escribano {
namespace {

using namespace models;

constexpr std::size_t chunk_bytes = 16u << 20;   // of source data at a time
constexpr std::size_t chunk_weights = 1u << 20;  // of quantised weights at a time

GgmlType ggml_type(WeightType type) {
  switch (type) {
    case WeightType::f16: return GgmlType::f16;
    case WeightType::bf16: return GgmlType::bf16;
    case WeightType::f32: return GgmlType::f32;
  }
  return GgmlType::f16;
}

// general.file_type (llama.h, enum llama_ftype).
std::uint32_t file_type(WeightType type) {
  switch (type) {
    case WeightType::f16: return 1;
    case WeightType::bf16: return 32;
    case WeightType::f32: return 0;
  }
  return 1;
}

void add_general(GgufBuilder& out, std::string_view architecture, std::string_view type, const ImportOptions& options) {
  out.add_string("general.architecture", architecture);
  out.add_string("general.type", type);
  out.add_string("general.name", options.name);
  out.add_u32("general.file_type", file_type(*options.weights));
  out.add_u32("general.quantization_version", 2);  // GGML_QNT_VERSION
}

void add_text_metadata(GgufBuilder& out, const HfConfig& config) {
  const TextConfig& text = config.text;
  const auto key = [&](const char* name) { return fmt::format("{}.{}", architecture_name(config.family), name); };
  out.add_u32(key("block_count"), text.layers);
  out.add_u32(key("context_length"), text.context);
  out.add_u32(key("embedding_length"), text.hidden);
  out.add_u32(key("feed_forward_length"), text.intermediate);
  out.add_u32(key("attention.head_count"), text.heads);
  out.add_u32(key("attention.head_count_kv"), text.kv_heads);
  out.add_u32(key("attention.key_length"), text.head_size);
  out.add_u32(key("attention.value_length"), text.head_size);
  out.add_f32(key("rope.freq_base"), text.rope_theta);
  out.add_f32(key("attention.layer_norm_rms_epsilon"), text.rms_epsilon);
  const auto& s = text.rope_sections;
  const std::vector<std::int32_t> sections = {s[0], s[1], s[2], 0};
  out.add_i32s(key("rope.dimension_sections"), sections);
  if (config.family == ModelFamily::qwen3_vl) {
    out.add_u32(key("n_deepstack_layers"), static_cast<std::uint32_t>(config.vision.deepstack.size()));
  }
  if (config.max_frames_per_prompt) out.add_u32("escribano.max_frames_per_prompt", *config.max_frames_per_prompt);
}

void add_tokenizer(GgufBuilder& out, const HfTokenizer& tokenizer) {
  out.add_string("tokenizer.ggml.model", "gpt2");
  out.add_string("tokenizer.ggml.pre", "qwen2");
  out.add_strings("tokenizer.ggml.tokens", tokenizer.tokens);
  out.add_i32s("tokenizer.ggml.token_type", tokenizer.types);
  out.add_strings("tokenizer.ggml.merges", tokenizer.merges);
  if (tokenizer.bos) out.add_u32("tokenizer.ggml.bos_token_id", *tokenizer.bos);
  out.add_u32("tokenizer.ggml.eos_token_id", tokenizer.eos);
  if (tokenizer.pad) out.add_u32("tokenizer.ggml.padding_token_id", *tokenizer.pad);
  if (!tokenizer.more_stops.empty()) out.add_u32("tokenizer.ggml.eot_token_id", tokenizer.more_stops[0]);
  if (tokenizer.more_stops.size() > 1) out.add_u32("tokenizer.ggml.eom_token_id", tokenizer.more_stops[1]);
  out.add_bool("tokenizer.ggml.add_bos_token", tokenizer.add_bos);
  if (tokenizer.chat_template) out.add_string("tokenizer.chat_template", *tokenizer.chat_template);
}

void add_vision_metadata(GgufBuilder& out, const HfConfig& config) {
  const VisionConfig& vision = config.vision;
  out.add_bool("clip.has_vision_encoder", true);
  const bool qwen3 = config.family == ModelFamily::qwen3_vl;
  out.add_string("clip.projector_type", qwen3 ? "qwen3vl_merger" : "qwen2.5vl_merger");
  // Side of the image whose patches the learned positions number one to one; without them libmtmd wants it and has no use
  // for it.
  out.add_u32("clip.vision.image_size", qwen3 ? vision.positions_per_side * vision.patch_px : 40 * vision.patch_px);
  out.add_u32("clip.vision.patch_size", vision.patch_px);
  out.add_u32("clip.vision.embedding_length", vision.hidden);
  out.add_u32("clip.vision.feed_forward_length", vision.intermediate);
  out.add_u32("clip.vision.block_count", vision.layers);
  out.add_u32("clip.vision.attention.head_count", vision.heads);
  out.add_u32("clip.vision.projection_dim", config.text.hidden);
  // The vision tower's own norms have this built in (transformers, modeling_qwen3_vl.py, modeling_qwen2_5_vl.py); no configuration names it.
  out.add_f32("clip.vision.attention.layer_norm_epsilon", 1e-6f);
  out.add_u32("clip.vision.spatial_merge_size", vision.merge);
  out.add_bool(qwen3 ? "clip.use_gelu" : "clip.use_silu", true);
  if (config.image.min_pixels) out.add_u32("clip.vision.image_min_pixels", *config.image.min_pixels);
  if (config.image.max_pixels) out.add_u32("clip.vision.image_max_pixels", *config.image.max_pixels);
  out.add_f32s("clip.vision.image_mean", config.image.mean);
  out.add_f32s("clip.vision.image_std", config.image.std_dev);
  if (!qwen3) {
    out.add_u32("clip.vision.n_wa_pattern", vision.window_pattern);
    return;
  }
  std::vector<bool> deepstack(vision.layers, false);
  for (const std::uint32_t layer : vision.deepstack) deepstack[layer] = true;
  out.add_bools("clip.vision.is_deepstack_layers", deepstack);
}

// Of one chunk of a matrix that MLX has quantised.
AffineGroups groups_at(const SafetensorsFolder& weights, const AffineParts& affine, std::uint64_t first,
                       std::uint64_t count) {
  const auto part = [&](const SafetensorsFolder::Entry& entry) {
    const std::size_t element = element_bytes(entry.tensor->dtype);
    return weights.data(entry).subspan(first * element, count * element);
  };
  return {affine.scales.tensor->dtype, part(affine.scales), affine.biases.tensor->dtype, part(affine.biases)};
}

// What of its source a tensor is made of.
std::uint64_t source_bytes(const PlannedTensor& tensor) {
  std::uint64_t bytes = tensor.source.tensor->size_bytes;
  if (tensor.affine) bytes += tensor.affine->scales.tensor->size_bytes + tensor.affine->biases.tensor->size_bytes;
  return bytes / tensor.slices;
}

// The share of a tensor in its source: its rows, if it has some of its own.
struct Rows {
  std::size_t begin = 0;
  std::size_t size = 0;
};
Rows rows_of(const PlannedTensor& tensor) {
  const auto bytes = static_cast<std::size_t>(tensor.source.tensor->size_bytes);
  return {bytes / tensor.slices * tensor.slice, bytes / tensor.slices};
}

// One import under way: what was read of the folder, and how far the work is.
class Importer {
 public:
  Importer(const SafetensorsFolder& weights, const TensorPlan& plan, const ImportReporter& reporter)
      : weights_(&weights), reporter_(&reporter) {
    for (const auto* tensors : {&plan.text, &plan.vision}) {
      for (const PlannedTensor& tensor : *tensors) total_bytes_ += source_bytes(tensor);
    }
  }

  // Refuses values that are not finite, and gives matrices whose values half precision cannot hold a type that can.
  Status settle_types(std::vector<PlannedTensor>& tensors);
  Status write(const std::filesystem::path& path, const GgufBuilder& header, const std::vector<PlannedTensor>& tensors);

 private:
  Status check_values(PlannedTensor& tensor);
  Result<ValueRange> range_of(const PlannedTensor& tensor);
  Status write_plain(GgufWriter& out, const PlannedTensor& tensor);
  Status write_affine(GgufWriter& out, const PlannedTensor& tensor);
  Status write_patch_slice(GgufWriter& out, const PlannedTensor& tensor);
  void drop(const SafetensorsFolder::Entry& source, std::size_t at, std::size_t size) const {
    weights_->shards()[source.shard].file.drop(source.tensor->begin + at, size);
  }
  void drop(const AffineParts& affine) const {
    for (const auto& part : {affine.scales, affine.biases}) drop(part, 0, part.tensor->size_bytes);
  }

  const SafetensorsFolder* weights_;
  const ImportReporter* reporter_;
  std::uint64_t total_bytes_ = 0;  // of the source, as are the next two
  std::uint64_t checked_bytes_ = 0;
  std::uint64_t written_bytes_ = 0;
  std::vector<std::byte> buffer_;
  std::vector<float> dequantised_;
};

Result<ValueRange> Importer::range_of(const PlannedTensor& tensor) {
  if (tensor.affine) {
    const AffineParts& affine = *tensor.affine;
    const Rows rows = rows_of(tensor);
    const std::size_t group = affine.format.group_bytes();
    const ValueRange range =
        affine_range(affine.format, groups_at(*weights_, affine, rows.begin / group, rows.size / group));
    drop(affine);
    checked_bytes_ += source_bytes(tensor);
    ESCRIBANO_CHECK(reporter_->report(ImportProgress::Stage::checking, checked_bytes_, total_bytes_));
    return range;
  }
  const Rows rows = rows_of(tensor);
  const auto data = weights_->data(tensor.source).subspan(rows.begin, rows.size);
  ValueRange range;
  for (std::size_t at = 0; at < data.size(); at += chunk_bytes) {
    const std::size_t size = std::min(chunk_bytes, data.size() - at);
    const ValueRange part = value_range(tensor.source.tensor->dtype, data.subspan(at, size));
    drop(tensor.source, rows.begin + at, size);
    range.is_finite = range.is_finite && part.is_finite;
    range.exceeds_half = range.exceeds_half || part.exceeds_half;
    checked_bytes_ += size;
    ESCRIBANO_CHECK(reporter_->report(ImportProgress::Stage::checking, checked_bytes_, total_bytes_));
  }
  return range;
}

Status Importer::check_values(PlannedTensor& tensor) {
  ESCRIBANO_TRY(const ValueRange range, range_of(tensor));
  if (!range.is_finite) {
    return fail(Errc::corrupt, "{}: tensor {} holds values that are not finite numbers (NaN or infinity)",
                weights_->shards()[tensor.source.shard].file_name, to_valid_utf8(tensor.source.tensor->name));
  }
  if (range.exceeds_half && !tensor.type_is_fixed && tensor.type == GgmlType::f16) {
    tensor.type = tensor.source.tensor->dtype == Dtype::bf16 ? GgmlType::bf16 : GgmlType::f32;
    log::info("tensor {} has values beyond half precision and gets a wider type", tensor.name);
  }
  return {};
}

Status Importer::settle_types(std::vector<PlannedTensor>& tensors) {
  for (PlannedTensor& tensor : tensors) ESCRIBANO_CHECK(check_values(tensor));
  return {};
}

Status Importer::write_plain(GgufWriter& out, const PlannedTensor& tensor) {
  const Rows rows = rows_of(tensor);
  const auto data = weights_->data(tensor.source).subspan(rows.begin, rows.size);
  const Dtype dtype = tensor.source.tensor->dtype;
  for (std::size_t at = 0; at < data.size(); at += chunk_bytes) {
    const std::size_t size = std::min(chunk_bytes, data.size() - at);
    buffer_.resize(size / element_bytes(dtype) * element_bytes(tensor.type));
    convert(dtype, data.subspan(at, size), tensor.type, buffer_);
    drop(tensor.source, rows.begin + at, size);
    ESCRIBANO_CHECK(out.append(buffer_));
    written_bytes_ += size;
    ESCRIBANO_CHECK(reporter_->report(ImportProgress::Stage::writing, written_bytes_, total_bytes_));
  }
  return {};
}

Status Importer::write_affine(GgufWriter& out, const PlannedTensor& tensor) {
  const AffineParts& affine = *tensor.affine;
  const Rows rows = rows_of(tensor);
  const auto packed = weights_->data(tensor.source).subspan(rows.begin, rows.size);
  const std::size_t group_bytes = affine.format.group_bytes();
  const std::uint64_t begin = rows.begin / group_bytes;
  const std::uint64_t groups = rows.size / group_bytes;
  const std::uint64_t step = chunk_weights / affine.format.group_size;
  const std::uint64_t before = written_bytes_;
  for (std::uint64_t first = 0; first < groups; first += step) {
    const std::uint64_t count = std::min(step, groups - first);
    dequantised_.resize(count * affine.format.group_size);
    dequantize(affine.format, packed.subspan(first * group_bytes, count * group_bytes),
               groups_at(*weights_, affine, begin + first, count), dequantised_);
    drop(tensor.source, rows.begin + first * group_bytes, count * group_bytes);
    buffer_.resize(dequantised_.size() * element_bytes(tensor.type));
    convert(Dtype::f32, std::as_bytes(std::span(dequantised_)), tensor.type, buffer_);
    ESCRIBANO_CHECK(out.append(buffer_));
    written_bytes_ = before + source_bytes(tensor) * (first + count) / groups;
    ESCRIBANO_CHECK(reporter_->report(ImportProgress::Stage::writing, written_bytes_, total_bytes_));
  }
  drop(affine);
  return {};
}

// Picks the elements of one time slice, output channel by output channel, in the order [channel][row][column].
Status Importer::write_patch_slice(GgufWriter& out, const PlannedTensor& tensor) {
  const auto data = weights_->data(tensor.source);
  const Dtype dtype = tensor.source.tensor->dtype;
  const std::size_t element = element_bytes(dtype);
  const std::size_t area = static_cast<std::size_t>(tensor.dims[0] * tensor.dims[1]);
  constexpr std::size_t channels = 3;
  constexpr std::size_t slices = 2;
  const bool channels_last = tensor.layout == PlannedTensor::Layout::patch_channels_last;
  std::vector<std::byte> picked(channels * area * element);
  buffer_.resize(channels * area * element_bytes(tensor.type));
  for (std::size_t filter = 0; filter < tensor.dims[3]; ++filter) {
    const auto kernel = data.subspan(filter * channels * slices * area * element, channels * slices * area * element);
    for (std::size_t channel = 0; channel < channels; ++channel) {
      for (std::size_t pixel = 0; pixel < area; ++pixel) {
        const std::size_t from = channels_last ? (tensor.slice * area + pixel) * channels + channel
                                               : (channel * slices + tensor.slice) * area + pixel;
        std::copy_n(kernel.begin() + static_cast<std::ptrdiff_t>(from * element), element,
                    picked.begin() + static_cast<std::ptrdiff_t>((channel * area + pixel) * element));
      }
    }
    convert(dtype, picked, tensor.type, buffer_);
    ESCRIBANO_CHECK(out.append(buffer_));
  }
  written_bytes_ += data.size() / slices;
  return reporter_->report(ImportProgress::Stage::writing, written_bytes_, total_bytes_);
}

Status Importer::write(const std::filesystem::path& path, const GgufBuilder& header,
                       const std::vector<PlannedTensor>& tensors) {
  ESCRIBANO_TRY(GgufWriter out, GgufWriter::create(path, header));
  for (const PlannedTensor& tensor : tensors) {
    if (tensor.affine) {
      ESCRIBANO_CHECK(write_affine(out, tensor));
    } else if (tensor.layout == PlannedTensor::Layout::plain) {
      ESCRIBANO_CHECK(write_plain(out, tensor));
    } else {
      ESCRIBANO_CHECK(write_patch_slice(out, tensor));
    }
  }
  return out.finish();
}

GgufBuilder text_header(const HfConfig& config, const HfTokenizer& tokenizer, const TensorPlan& plan,
                        const ImportOptions& options) {
  GgufBuilder out;
  add_general(out, architecture_name(config.family), "model", options);
  add_text_metadata(out, config);
  add_tokenizer(out, tokenizer);
  for (const PlannedTensor& tensor : plan.text) out.add_tensor(tensor.name, tensor.dims, tensor.type);
  return out;
}

GgufBuilder vision_header(const HfConfig& config, const TensorPlan& plan, const ImportOptions& options) {
  GgufBuilder out;
  add_general(out, "clip", "mmproj", options);
  add_vision_metadata(out, config);
  for (const PlannedTensor& tensor : plan.vision) out.add_tensor(tensor.name, tensor.dims, tensor.type);
  return out;
}

auto in_folder(const std::filesystem::path& folder, const Error& error) {
  return fail(error.code, "{}: {}", printable(folder), error.message);
}

// The quantizer writes through the page cache; what is marked as finished must survive a crash of the machine.
Status sync_file(const std::filesystem::path& path) {
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd && ::fsync(fd.get()) == 0) return {};
  return fail(Errc::io_error, "{}: {}", printable(path), std::error_code(errno, std::generic_category()).message());
}

// About what the matrices shrink to, of 16 bits a weight.
double quantized_share(Quantization quantization) { return quantization == Quantization::q8_0 ? 8.5 / 16 : 5.0 / 16; }

// On a thread of its own, so that this one can report how far it is.
Status quantize(const ImportOptions& options, const std::filesystem::path& model,
                const std::filesystem::path& destination, const ImportReporter& reporter) {
  std::error_code ignored;
  const auto total = static_cast<std::uint64_t>(static_cast<double>(std::filesystem::file_size(model, ignored)) *
                                                quantized_share(*options.quantize));
  Status going_on = reporter.report(ImportProgress::Stage::quantising, 0, total);
  if (!going_on) return going_on;
  auto running = std::async(
      std::launch::async, [&] { return options.quantizer(model, destination, quantization_name(*options.quantize)); });
  while (running.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
    if (!going_on) continue;
    std::error_code not_there;
    const std::uint64_t done = std::filesystem::file_size(destination, not_there);
    going_on = reporter.report(ImportProgress::Stage::quantising, not_there ? 0 : std::min(done, total), total);
  }
  ESCRIBANO_CHECK(running.get());
  ESCRIBANO_CHECK(going_on);
  ESCRIBANO_CHECK(sync_file(destination));
  return reporter.report(ImportProgress::Stage::quantising, total, total);
}

// Removes what a failed import has written.
class DiscardUnlessFinished {
 public:
  DiscardUnlessFinished(const ImportCache& cache, const std::string& key) : cache_(&cache), key_(&key) {}
  DiscardUnlessFinished(const DiscardUnlessFinished&) = delete;
  DiscardUnlessFinished& operator=(const DiscardUnlessFinished&) = delete;
  ~DiscardUnlessFinished() {
    if (!finished_) cache_->discard(*key_);
  }
  void finished() { finished_ = true; }

 private:
  const ImportCache* cache_;
  const std::string* key_;
  bool finished_ = false;
};

Result<ModelFiles> make_files(const ImportCache& cache, const std::string& key, const HfConfig& config,
                              const HfTokenizer& tokenizer, TensorPlan plan, const SafetensorsFolder& weights,
                              const ImportOptions& options, const ImportReporter& reporter) {
  ESCRIBANO_TRY(const auto lock, cache.lock(key, reporter));
  if (auto made_meanwhile = cache.find(key, options.name)) return *std::move(made_meanwhile);
  Importer importer(weights, plan, reporter);
  ESCRIBANO_CHECK(importer.settle_types(plan.text));
  ESCRIBANO_CHECK(importer.settle_types(plan.vision));
  const GgufBuilder text = text_header(config, tokenizer, plan, options);
  const GgufBuilder vision = vision_header(config, plan, options);
  std::uint64_t bytes = text.file_bytes() + vision.file_bytes();
  if (options.quantize) {
    bytes += text.header().size();
    bytes += static_cast<std::uint64_t>(static_cast<double>(text.file_bytes()) * quantized_share(*options.quantize));
  }
  DiscardUnlessFinished written(cache, key);
  ESCRIBANO_CHECK(cache.prepare(key, bytes));
  ESCRIBANO_CHECK(importer.write(cache.projector_path(key), vision, plan.vision));
  const std::filesystem::path text_path = options.quantize ? cache.unquantized_path(key) : cache.model_path(key);
  ESCRIBANO_CHECK(importer.write(text_path, text, plan.text));
  ModelFiles files{text_path, cache.projector_path(key), options.name};
  ESCRIBANO_TRY([[maybe_unused]] ModelInfo info, check_model(files));  // what we make must pass what we demand
  if (options.quantize) {
    files.model = cache.model_path(key);
    ESCRIBANO_CHECK(quantize(options, text_path, files.model, reporter));
    ESCRIBANO_TRY(info, check_model(files));
  }
  if (options.verify) {
    ESCRIBANO_CHECK(reporter.report(ImportProgress::Stage::verifying, 0, 0));
    ESCRIBANO_CHECK(options.verify(files));
  }
  ESCRIBANO_CHECK(cache.mark_finished(key));
  written.finished();
  return files;
}

// The name of the folder, also for "." and "folder/".
std::string folder_name(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path full = std::filesystem::weakly_canonical(folder, error);
  const std::filesystem::path name = (error ? folder : full).filename();
  return name.empty() ? "model" : printable(name);
}

// bf16 has eight significant bits, f16 eleven: numbers of more than four bits, dequantised, would lose in bf16 what they
// were given the bits for (up to half a step at eight bits).
WeightType usual_type(const HfConfig& config, const SafetensorsFolder& weights, std::uint64_t small_bytes) {
  if (config.quantization && config.quantization->max_bits() > 4) return WeightType::f16;
  const bool bf16 = std::any_of(weights.tensors().begin(), weights.tensors().end(),
                                [](const auto& entry) { return entry.second.tensor->dtype == Dtype::bf16; });
  return bf16 && weights.total_bytes() > small_bytes ? WeightType::bf16 : WeightType::f16;
}

}  // namespace

std::string_view quantization_name(Quantization quantization) noexcept {
  switch (quantization) {
    case Quantization::q8_0: return "q8_0";
    case Quantization::q4_k_m: return "q4_k_m";
  }
  return "";
}

Result<ModelFiles> import_folder(const std::filesystem::path& folder, const std::filesystem::path& cache_root,
                                 const ImportOptions& given_options, const ImportProgressCallback& progress) {
  ImportOptions options = given_options;
  if (options.name.empty()) options.name = folder_name(folder);
  const ImportReporter reporter(progress);
  const ImportCache cache(cache_root);

  ESCRIBANO_TRY(const HfConfig config, read_hf_config(folder));
  ESCRIBANO_TRY(const SafetensorsFolder weights, SafetensorsFolder::open(folder));
  if (!options.weights) options.weights = usual_type(config, weights, options.small_bytes);

  // The quick way: an unchanged folder that was imported before.
  ESCRIBANO_TRY(const auto known, cache.key(folder, weights, options, true, reporter));
  if (known) {
    if (auto found = cache.find(*known, options.name)) return *std::move(found);
  }

  if (options.quantize && !options.quantizer) {
    return fail(Errc::invalid_argument, "{} is to be quantised, but nothing that does it was given", printable(folder));
  }
  // Everything that can be wrong without reading the weights is found before reading them.
  ESCRIBANO_TRY(const HfTokenizer tokenizer, read_hf_tokenizer(folder, config));
  auto plan = plan_tensors(config, weights, ggml_type(*options.weights));
  if (!plan) return in_folder(folder, plan.error());

  ESCRIBANO_TRY(const auto key, cache.key(folder, weights, options, false, reporter));
  if (auto found = cache.find(*key, options.name)) return *std::move(found);
  return make_files(cache, *key, config, tokenizer, *std::move(plan), weights, options, reporter);
}

}  // namespace escribano
