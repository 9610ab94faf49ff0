#include "models/tiny_model.h"

#include <algorithm>
#include <cstring>

namespace escribano::models {

using nlohmann::json;

std::string safetensors_bytes(std::string_view header, std::string_view data) {
  std::string bytes(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  bytes += header;
  bytes += data;
  return bytes;
}

TinyModel::TinyModel() {
  config = json::parse(R"({
    "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "tie_word_embeddings": true,
    "text_config": {"vocab_size": 16, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
      "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "hidden_act": "silu",
      "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
      "rope_scaling": {"rope_type": "default", "mrope_section": [1, 1, 0], "mrope_interleaved": true},
      "attention_bias": false, "eos_token_id": 10},
    "vision_config": {"depth": 2, "hidden_size": 8, "num_heads": 2, "intermediate_size": 16,
      "hidden_act": "gelu_pytorch_tanh", "in_channels": 3, "patch_size": 2, "temporal_patch_size": 2,
      "spatial_merge_size": 2, "out_hidden_size": 8, "num_position_embeddings": 16,
      "deepstack_visual_indexes": [1]}})");
  preprocessor = json::parse(R"({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "patch_size": 2,
    "merge_size": 2, "size": {"shortest_edge": 64, "longest_edge": 1024}})");
  generation = json::parse(R"({"eos_token_id": [10, 8]})");
  tokenizer = json::parse(R"({
    "added_tokens": [{"id": 8, "content": "<|endoftext|>", "special": true},
                     {"id": 9, "content": "<|im_start|>", "special": true},
                     {"id": 10, "content": "<|im_end|>", "special": true},
                     {"id": 11, "content": "<|box|>", "special": false},
                     {"id": 12, "content": "<tool>", "special": false}],
    "normalizer": {"type": "NFC"}, "post_processor": {"type": "ByteLevel", "trim_offsets": false},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "PATTERN"}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4},
              "merges": [["a", "b"], ["ab", "c"]]}})");
  tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  tokenizer_config = json::parse(R"({"add_bos_token": false, "bos_token": null, "eos_token": "<|im_end|>",
    "pad_token": {"content": "<|endoftext|>"}, "chat_template": "{{ messages }}"})");

  add("model.language_model.embed_tokens.weight", {16, 8});
  add("model.language_model.norm.weight", {8});
  for (const std::string layer : {"0", "1"}) {
    const std::string at = "model.language_model.layers." + layer + ".";
    add(at + "input_layernorm.weight", {8});
    add(at + "post_attention_layernorm.weight", {8});
    add(at + "self_attn.q_norm.weight", {4});
    add(at + "self_attn.k_norm.weight", {4});
    add(at + "self_attn.q_proj.weight", {8, 8});
    add(at + "self_attn.k_proj.weight", {4, 8});
    add(at + "self_attn.v_proj.weight", {4, 8});
    add(at + "self_attn.o_proj.weight", {8, 8});
    add(at + "mlp.gate_proj.weight", {16, 8});
    add(at + "mlp.up_proj.weight", {16, 8});
    add(at + "mlp.down_proj.weight", {8, 16});
  }
  add("model.visual.patch_embed.proj.weight", {8, 3, 2, 2, 2});
  add("model.visual.patch_embed.proj.bias", {8});
  add("model.visual.pos_embed.weight", {16, 8});
  add_norm("model.visual.merger.norm", 8);
  add_linear("model.visual.merger.linear_fc1", 32, 32);
  add_linear("model.visual.merger.linear_fc2", 8, 32);
  for (const std::string layer : {"0", "1"}) {
    const std::string at = "model.visual.blocks." + layer + ".";
    add_norm(at + "norm1", 8);
    add_norm(at + "norm2", 8);
    add_linear(at + "attn.qkv", 24, 8);
    add_linear(at + "attn.proj", 8, 8);
    add_linear(at + "mlp.linear_fc1", 16, 8);
    add_linear(at + "mlp.linear_fc2", 8, 16);
  }
  add_norm("model.visual.deepstack_merger_list.0.norm", 32);
  add_linear("model.visual.deepstack_merger_list.0.linear_fc1", 32, 32);
  add_linear("model.visual.deepstack_merger_list.0.linear_fc2", 8, 32);
}

void TinyModel::add(std::string name, std::vector<std::uint64_t> shape) {
  std::size_t elements = 1;
  for (const std::uint64_t extent : shape) elements *= extent;
  Tensor tensor{std::move(name), std::move(shape), "BF16", {}};
  for (std::size_t i = 0; i < elements; ++i) {
    random_ = random_ * 1664525 + 1013904223;
    // A magnitude from 2^-7 to 2, either sign.
    const auto value = static_cast<std::uint16_t>((random_ >> 16 & 0x8000) | (0x3C00 + (random_ >> 20 & 0x3FF)));
    tensor.data.append(reinterpret_cast<const char*>(&value), 2);
  }
  tensors.push_back(std::move(tensor));
}

void TinyModel::add_linear(const std::string& name, std::uint64_t rows, std::uint64_t columns) {
  add(name + ".weight", {rows, columns});
  add(name + ".bias", {rows});
}

void TinyModel::add_norm(const std::string& name, std::uint64_t size) {
  add(name + ".weight", {size});
  add(name + ".bias", {size});
}

TinyModel::Tensor& TinyModel::tensor(std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &Tensor::name);
  if (found == tensors.end()) throw std::runtime_error("no tensor " + std::string(name));
  return *found;
}

void TinyModel::remove(std::string_view name) {
  std::erase_if(tensors, [&](const Tensor& tensor) { return tensor.name == name; });
}

void TinyModel::rename(const std::function<std::string(const std::string&)>& change) {
  for (Tensor& tensor : tensors) tensor.name = change(tensor.name);
}

void TinyModel::widen() {
  for (Tensor& tensor : tensors) {
    std::string wide;
    for (std::size_t i = 0; i < tensor.data.size(); i += 2) {
      wide.append(2, '\0');
      wide.append(tensor.data, i, 2);
    }
    tensor.data = std::move(wide);
    tensor.dtype = "F32";
  }
}

void TinyModel::write(const std::filesystem::path& folder, std::size_t shards) const {
  std::filesystem::create_directories(folder);
  const auto write_json = [&](const char* name, const json& value) {
    if (!value.is_null()) write_bytes(folder / name, value.dump());
  };
  write_json("config.json", config);
  write_json("preprocessor_config.json", preprocessor);
  write_json("generation_config.json", generation);
  write_json("tokenizer.json", tokenizer);
  write_json("tokenizer_config.json", tokenizer_config);
  json index;
  for (std::size_t shard = 0; shard < shards; ++shard) {
    const std::string file = shards == 1 ? "model.safetensors" : "model-" + std::to_string(shard + 1) + ".safetensors";
    json header = {{"__metadata__", {{"format", "pt"}}}};
    std::string data;
    for (std::size_t i = shard; i < tensors.size(); i += shards) {
      const Tensor& tensor = tensors[i];
      header[tensor.name] = {{"dtype", tensor.dtype},
                             {"shape", tensor.shape},
                             {"data_offsets", {data.size(), data.size() + tensor.data.size()}}};
      data += tensor.data;
      index["weight_map"][tensor.name] = file;
    }
    write_bytes(folder / file, safetensors_bytes(header.dump(), data));
  }
  if (shards > 1) write_bytes(folder / "model.safetensors.index.json", index.dump());
}

}  // namespace escribano::models
