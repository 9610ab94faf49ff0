#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace escribano::models {

// SHA-256 by libcrypto: names model contents in the cache. A cryptographic hash, since folders come from strangers and
// must not be able to pass for one another. Uses the processor's instructions for it where there are any.
class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  // Lower-case hexadecimal, 64 digits. The object is used up.
  std::string hex_digest();

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;  // an EVP_MD_CTX
};

}  // namespace escribano::models
