#pragma once

#include <cstddef>
#include <cstdint>

// What a request may hold, for those who send and those who read it.
namespace escribano::protocol {

inline constexpr std::size_t kMaxImages = 100'000;  // in one request
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr int kMaxBatchSize = 255;
inline constexpr int kMaxTokens = 1'000'000;
inline constexpr float kMaxTemperature = 10;
inline constexpr std::int64_t kMaxDeadlineMs = 86'400'000;  // a day

}  // namespace escribano::protocol
