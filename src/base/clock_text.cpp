#include "base/clock_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace escribano {

std::string clock_text(double seconds) {
  constexpr double kLongest_s = 1e12;
  constexpr double kRoundingError_s = 1e-6;  // of positions that were computed
  const double position = std::isfinite(seconds) ? std::clamp(seconds + kRoundingError_s, 0.0, kLongest_s) : 0;
  const auto whole = static_cast<std::int64_t>(position);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace escribano
