#include "support/mlx_folder.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/float_convert.h"
#include "models/safetensors.h"

namespace escribano {
namespace {

using nlohmann::json;
using namespace models;

struct Tensor {
  std::string name;
  std::string dtype = "BF16";
  std::vector<std::uint64_t> shape;
  std::string data;
};

std::string mlx_name(const std::string& name) {
  constexpr std::string_view text = "model.language_model.";
  constexpr std::string_view vision = "model.visual.";
  if (name.starts_with(text)) return "language_model.model." + name.substr(text.size());
  if (name.starts_with(vision)) return "vision_tower." + name.substr(vision.size());
  return "language_model." + name;  // lm_head
}

// [out, in, time, height, width] to [out, time, height, width, in].
void move_channels_last(Tensor& kernel) {
  const std::uint64_t channels = kernel.shape[1];
  const std::uint64_t rest = kernel.shape[2] * kernel.shape[3] * kernel.shape[4];
  std::string moved(kernel.data.size(), '\0');
  for (std::uint64_t filter = 0; filter < kernel.shape[0]; ++filter) {
    for (std::uint64_t channel = 0; channel < channels; ++channel) {
      for (std::uint64_t i = 0; i < rest; ++i) {
        std::memcpy(moved.data() + ((filter * rest + i) * channels + channel) * 2,
                    kernel.data.data() + ((filter * channels + channel) * rest + i) * 2, 2);
      }
    }
  }
  kernel.data = std::move(moved);
  std::rotate(kernel.shape.begin() + 1, kernel.shape.begin() + 2, kernel.shape.end());
}

void append_bfloat(std::string& out, float value) {
  const std::uint16_t bits = bfloat_from_float(value);
  out.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
}

// One group as mlx/backend/cpu/quantized.cpp (quantize) computes it: the end of the range that is farther from zero is kept
// exactly, and values lie in the words one after the other from the lowest bit on.
void quantize_group(std::span<const float> group, int bits, std::string& packed, std::string& scales,
                    std::string& biases) {
  const float steps = static_cast<float>((1 << bits) - 1);
  const auto [low, high] = std::ranges::minmax(group);
  const bool from_low = std::abs(low) > std::abs(high);
  float scale = std::max((high - low) / steps, 1e-7f);
  if (!from_low) scale = -scale;
  const float edge = from_low ? low : high;
  const float edge_steps = std::rint(edge / scale);
  float bias = 0;
  if (edge_steps != 0) {
    scale = edge / edge_steps;
    bias = edge;
  }
  append_bfloat(scales, scale);
  append_bfloat(biases, bias);
  std::uint64_t pending = 0;
  int pending_bits = 0;
  for (const float value : group) {
    const float step = std::clamp(std::rint((value - bias) / scale), 0.0f, steps);
    pending |= static_cast<std::uint64_t>(step) << pending_bits;
    for (pending_bits += bits; pending_bits >= 8; pending_bits -= 8) {
      packed.push_back(static_cast<char>(pending & 0xFF));
      pending >>= 8;
    }
  }
}

// Replaces a matrix NAME.weight by its packed form, NAME.scales and NAME.biases.
void quantize(const Tensor& matrix, MlxFormat format, std::vector<Tensor>& out) {
  const std::string module = matrix.name.substr(0, matrix.name.size() - std::string_view("weight").size());
  const std::uint64_t rows = matrix.shape[0];
  const std::uint64_t columns = matrix.shape[1];
  const auto size = static_cast<std::uint64_t>(format.group_size);
  Tensor packed{matrix.name, "U32", {rows, columns * static_cast<std::uint64_t>(format.bits) / 32}, {}};
  Tensor scales{module + "scales", "BF16", {rows, columns / size}, {}};
  Tensor biases{module + "biases", "BF16", {rows, columns / size}, {}};
  std::vector<float> group(size);
  for (std::uint64_t begin = 0; begin < rows * columns; begin += size) {
    for (std::uint64_t i = 0; i < size; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, matrix.data.data() + (begin + i) * 2, 2);
      group[i] = float_from_bfloat(bits);
    }
    quantize_group(group, format.bits, packed.data, scales.data, biases.data);
  }
  for (Tensor* tensor : {&packed, &scales, &biases}) out.push_back(std::move(*tensor));
}

// mlx.nn.quantize() takes what has to_quantized(), linear layers and embeddings, if whole groups fill a row.
bool is_quantised(const Tensor& tensor, MlxFormat format) {
  if (format.bits == 0 || tensor.shape.size() != 2 || !tensor.name.ends_with(".weight")) return false;
  if (tensor.shape[1] % static_cast<std::uint64_t>(format.group_size) != 0) return false;
  return format.vision_tower || !tensor.name.starts_with("vision_tower.");
}

std::vector<Tensor> mlx_tensors(const std::filesystem::path& hf_folder, MlxFormat format) {
  const auto folder = SafetensorsFolder::open(hf_folder);
  if (!folder) throw std::runtime_error(folder.error().message);
  std::vector<Tensor> out;
  for (const auto& [name, entry] : folder->tensors()) {
    if (entry.tensor->dtype != Dtype::bf16) throw std::runtime_error(name + " is not bfloat16");
    const auto bytes = folder->data(entry);
    Tensor tensor{
        mlx_name(name), "BF16", entry.tensor->shape, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}};
    if (tensor.shape.size() == 5) move_channels_last(tensor);
    if (is_quantised(tensor, format)) {
      quantize(tensor, format, out);
    } else {
      out.push_back(std::move(tensor));
    }
  }
  return out;
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

void write_weights(const std::filesystem::path& folder, const std::vector<Tensor>& tensors) {
  json header = {{"__metadata__", {{"format", "mlx"}}}};
  json index;
  std::uint64_t size = 0;
  for (const Tensor& tensor : tensors) {
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {size, size + tensor.data.size()}}};
    size += tensor.data.size();
    index["weight_map"][tensor.name] = "model.safetensors";
  }
  index["metadata"]["total_size"] = size;
  const std::string text = header.dump();
  const std::uint64_t text_size = text.size();
  std::string file(reinterpret_cast<const char*>(&text_size), sizeof(text_size));
  file += text;
  for (const Tensor& tensor : tensors) file += tensor.data;
  write_file(folder / "model.safetensors", file);
  write_file(folder / "model.safetensors.index.json", index.dump(4));
}

}  // namespace

void write_mlx_folder(const std::filesystem::path& hf_folder, const std::filesystem::path& destination,
                      MlxFormat format) {
  std::filesystem::create_directories(destination);
  for (const auto& entry : std::filesystem::directory_iterator(hf_folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name.ends_with(".safetensors") || name.ends_with(".index.json")) continue;
    std::filesystem::copy_file(entry.path(), destination / name, std::filesystem::copy_options::overwrite_existing);
  }
  std::ifstream file(hf_folder / "config.json");
  json config = json::parse(file);
  if (format.bits != 0) {
    config["quantization"] = {{"group_size", format.group_size}, {"bits", format.bits}, {"mode", "affine"}};
    config["quantization_config"] = config["quantization"];
  }
  write_file(destination / "config.json", config.dump(4));
  write_weights(destination, mlx_tensors(hf_folder, format));
}

}  // namespace escribano
