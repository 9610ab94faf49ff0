#include "pipeline/times.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

namespace escribano {
namespace {

// Whole seconds that fit; what is no number counts as nothing.
std::int64_t whole(double seconds) {
  constexpr double kLongest = 1e12;
  return std::isfinite(seconds) ? static_cast<std::int64_t>(std::clamp(seconds, 0.0, kLongest)) : 0;
}

}  // namespace

std::string duration_text(double seconds) {
  const std::int64_t all = whole(std::round(seconds));
  if (all < 60) return fmt::format("{} s", all);
  if (all < 600)
    return all % 60 == 0 ? fmt::format("{} min", all / 60) : fmt::format("{} min {} s", all / 60, all % 60);
  const std::int64_t minutes = (all + 30) / 60;
  if (minutes < 60) return fmt::format("{} min", minutes);
  return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

}  // namespace escribano
