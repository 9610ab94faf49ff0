#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"
#include "image/image.h"
#include "recording/screen_change.h"

namespace escribano::recording {

// Picked frames as they come, in order of time: decides which of them are unchanged. Keeps one picture's brightness, whatever
// their number.
//
// A frame is compared with the one whose description the frame before it has, not with the frame before itself, so that small
// changes add up until they are seen.
class FrameSeries {
 public:
  explicit FrameSeries(const SamplingOptions& options) : options_(options) {}

  // `at_ms` is later than all before. Fails where the thumbnail cannot be made.
  Status add(std::int64_t at_ms, SampleReason reason, const Image& image);
  std::vector<SampledFrame>& frames() noexcept { return frames_; }

 private:
  // Whether a frame that is not equal to an earlier one shows what the reference shows all the same.
  bool is_as_reference(const SampledFrame& frame) const;

  const SamplingOptions& options_;
  std::vector<SampledFrame> frames_;
  std::unordered_map<std::string, std::size_t> described_;  // by content hash
  Luma before_;                                             // of the frame added last
  Luma reference_;                                          // of the described frame that is valid now
  std::size_t reference_index_ = 0;
};

// The hash of the pixels as 32 hexadecimal digits.
std::string content_hash(const Image& image);

}  // namespace escribano::recording
