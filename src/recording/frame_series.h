#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "domain/recording.h"
#include "image/image.h"
#include "recording/screen_change.h"

namespace escribano::recording {

// Picked frames as they come, in order of time: decides which of them are unchanged, or show again what was shown before.
// Keeps the brightness of the described frames that were shown last: 64 of them, or as many as go into 32 MiB.
//
// A frame is compared with frames that are described themselves, the one whose description the frame before it has first, and
// never with a frame that is not: small changes add up until they are seen. Frames whose pixels are equal are found however
// long ago that was.
class FrameSeries {
 public:
  explicit FrameSeries(const SamplingOptions& options) : options_(options) {}

  // `at_ms` is later than all before. Fails where the thumbnail cannot be made.
  Status add(std::int64_t at_ms, SampleReason reason, const Image& image);
  std::vector<SampledFrame>& frames() noexcept { return frames_; }

 private:
  // A described frame.
  struct Shown {
    std::size_t index = 0;
    Luma luma;
    std::vector<double> means;  // of its blocks
  };

  // The first of shown_ that `frame` shows again though its pixels are not equal; end() if there is none. Sets the change.
  std::list<Shown>::iterator find_same(SampledFrame& frame, const Shown& picture);
  // `picture` is what is shown now.
  void show(Shown picture);

  const SamplingOptions& options_;
  std::vector<SampledFrame> frames_;
  std::unordered_map<std::string, std::size_t> described_;  // by content hash
  Luma before_;                                             // of the frame added last
  std::list<Shown> shown_;                                  // the one that is valid now first
};

// The hash of the pixels as 32 hexadecimal digits.
std::string content_hash(const Image& image);

}  // namespace escribano::recording
