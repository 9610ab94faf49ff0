#include "models/tiny_qwen25vl.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include "models/float_convert.h"

namespace escribano::models {
namespace {

using nlohmann::json;

std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// weights() of qwen2_5_vl.py.
TinyModel::Tensor made_tensor(std::string name, std::vector<std::uint64_t> shape) {
  std::uint64_t seed = 0xCBF29CE484222325;
  for (const unsigned char byte : name) seed = (seed ^ byte) * 0x100000001B3;
  std::uint64_t columns = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) columns *= shape[i];
  const bool vector = shape.size() == 1;
  const bool norm = name.find("norm") != std::string::npos || name.find("ln_q") != std::string::npos;
  const int exponent = 6 + static_cast<int>(std::bit_width(columns)) / 2;
  TinyModel::Tensor tensor{std::move(name), shape, "BF16", {}};
  for (std::uint64_t i = 1; i <= shape[0] * columns; ++i) {
    const auto integer = static_cast<float>(mixed(seed + i * 0x9E3779B97F4A7C15) >> 56) - 128;
    float value = std::ldexp(integer, -exponent);
    if (vector) value = norm ? 1 + std::floor(integer / 4) / 128 : integer / 512;
    const std::uint16_t bits = bfloat_from_float(value);
    tensor.data.append(reinterpret_cast<const char*>(&bits), 2);
  }
  return tensor;
}

void append_utf8(std::string& text, unsigned code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// Byte-level BPE writes bytes that cannot be seen as characters from 256 on, in order.
json byte_vocabulary() {
  json vocabulary;
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool seen = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    std::string text;
    append_utf8(text, seen ? byte : next++);
    vocabulary[text] = byte;
  }
  return vocabulary;
}

}  // namespace

std::vector<json> qwen25vl_cases() {
  const auto path = std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "tests" / "golden" / "qwen2_5_vl.json";
  return json::parse(read_bytes(path)).at("cases").get<std::vector<json>>();
}

TinyModel tiny_qwen25vl(const json& golden) {
  TinyModel model;
  model.config = golden.at("config");
  model.preprocessor = json::parse(R"({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14,
    "temporal_patch_size": 2, "merge_size": 2, "min_pixels": 3136, "max_pixels": 12845056,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]})");
  model.generation = json::parse(R"({"eos_token_id": [258, 256]})");
  model.tokenizer["model"]["vocab"] = byte_vocabulary();
  model.tokenizer["model"]["vocab"]["in"] = 264;
  model.tokenizer["model"]["merges"] = json::array({json::array({"i", "n"})});
  model.tokenizer["added_tokens"] = json::array();
  int id = 256;
  for (const char* mark : {"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
                           "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"}) {
    model.tokenizer["added_tokens"].push_back({{"id", id++}, {"content", mark}, {"special", true}});
  }
  model.tokenizer_config["chat_template"] =
      "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
      "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
      "{{ message['content'] }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";
  model.tensors.clear();
  for (const auto& [name, shape] : golden.at("tensors").items()) model.tensors.push_back(made_tensor(name, shape));
  return model;
}

TinyModel tiny_qwen25vl() { return tiny_qwen25vl(qwen25vl_cases().front()); }

void write_flat_config(TinyModel& model) {
  json text = model.config["text_config"];
  model.config.erase("text_config");
  const json rope = text["rope_parameters"];
  for (const char* key : {"rope_parameters", "model_type", "layer_types"}) text.erase(key);
  model.config.update(text);
  model.config["rope_theta"] = rope["rope_theta"];
  model.config["rope_scaling"] = {{"type", "mrope"}, {"mrope_section", rope["mrope_section"]}};
  model.config["vision_config"]["in_chans"] = 3;
  for (const char* key : {"in_channels", "model_type", "rope_parameters"}) model.config["vision_config"].erase(key);
}

void use_long_names(TinyModel& model) {
  model.rename([](const std::string& name) {
    if (name.starts_with("model.")) return "model.language_model." + name.substr(6);
    return name.starts_with("visual.") ? "model." + name : name;
  });
}

Image qwen25vl_picture(const json& golden) {
  Image image{.width_px = 28 * golden.at("columns").get<int>(), .height_px = 28 * golden.at("rows").get<int>()};
  for (int y = 0; y < image.height_px; ++y) {
    for (int x = 0; x < image.width_px; ++x) {
      for (int c = 0; c < 3; ++c) {
        image.rgb.push_back(static_cast<std::uint8_t>((x * 7 + y * 13 + c * 50 + x / 20 * (y / 15) * 29) % 256));
      }
    }
  }
  return image;
}

}  // namespace escribano::models
