#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace escribano::models {

inline void write_bytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A safetensors file with this header text, however wrong it is.
std::string safetensors_bytes(std::string_view header, std::string_view data);

// A folder of the Qwen3-VL family small enough to look at: 2 + 2 layers, 8 wide, 16 tokens. Change what a test is
// about, then write it.
class TinyModel {
 public:
  struct Tensor {
    std::string name;
    std::vector<std::uint64_t> shape;
    std::string dtype = "BF16";
    std::string data;
  };

  TinyModel();

  nlohmann::json config;
  nlohmann::json preprocessor;
  nlohmann::json generation;
  nlohmann::json tokenizer;
  nlohmann::json tokenizer_config;
  std::vector<Tensor> tensors;

  Tensor& tensor(std::string_view name);  // throws where there is none
  void remove(std::string_view name);
  void rename(const std::function<std::string(const std::string&)>& change);
  // Stores every tensor as F32 with the same values.
  void widen();

  // Writes JSON files that are not null and the weights, in one file or in `shards` with an index.
  void write(const std::filesystem::path& folder, std::size_t shards = 1) const;

 private:
  void add(std::string name, std::vector<std::uint64_t> shape);
  void add_linear(const std::string& name, std::uint64_t rows, std::uint64_t columns);
  void add_norm(const std::string& name, std::uint64_t size);
  std::uint32_t random_ = 1;
};

}  // namespace escribano::models
