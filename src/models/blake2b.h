#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace escribano::models {

// BLAKE2b with a 256-bit digest (RFC 7693): names model contents in the cache. A cryptographic hash, since folders come
// from strangers and must not be able to pass for one another; about 1 GB/s without special instructions.
class Blake2b {
 public:
  Blake2b();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // Lower-case hexadecimal, 64 digits. The object is used up.
  std::string hex_digest();

 private:
  void compress(const std::byte* block, bool last);

  static constexpr std::size_t block_bytes = 128;
  std::array<std::uint64_t, 8> state_;
  std::array<std::byte, block_bytes> buffer_{};
  std::size_t buffered_ = 0;
  std::uint64_t total_bytes_ = 0;  // compressed so far; files stay far below 2^64 bytes
};

}  // namespace escribano::models
