#include "base/utf8.h"

#include <cstdint>

namespace escribano {
namespace {

struct Step {
  std::size_t length = 1;  // bytes looked at: a whole character, or a maximal ill-formed part
  bool valid = false;
  bool truncated = false;  // a correct beginning that the end of the text cuts off
};

// Table 3-7 of the Unicode standard: the second byte's range depends on the first.
Step next(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {1, true, false};
  std::size_t length = 0;
  std::uint8_t low = 0x80;
  std::uint8_t high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return {1, false, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {i, false, true};
    if (byte(i) < low || byte(i) > high) return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true, false};
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const Step step = next(text);
    if (!step.valid) return false;
    text.remove_prefix(step.length);
  }
  return true;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Step step = next(text);
    if (step.valid) {
      out.append(text.substr(0, step.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    text.remove_prefix(step.length);
  }
  return out;
}

std::size_t complete_utf8_prefix(std::string_view text) noexcept {
  // A character has at most 4 bytes, so only the last 3 positions can begin one that is cut.
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const std::size_t at = text.size() - back;
    if ((static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80) continue;
    return next(text.substr(at)).truncated ? at : text.size();
  }
  return text.size();
}

}  // namespace escribano
