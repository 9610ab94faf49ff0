#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "domain/recording.h"

namespace escribano {

// A short name of values, to see whether a step was made from the same ones: FNV-1a, 64 bits. Not for anything that somebody
// might want to forge. The same on every machine.
class Fingerprint {
 public:
  Fingerprint& add(std::string_view text) noexcept;  // and where it ends
  Fingerprint& add(double value) noexcept;
  std::string text() const;  // 16 hexadecimal digits

 private:
  void add_byte(unsigned char byte) noexcept { hash_ = (hash_ ^ byte) * 0x100000001b3; }
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

// Of what segments are made from, and of what artefacts are made from.
std::string fingerprint(std::span<const Observation> observations);
std::string fingerprint(std::span<const Segment> segments);

}  // namespace escribano
