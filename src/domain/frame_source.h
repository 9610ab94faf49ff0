#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "base/anonymous_file.h"
#include "base/error.h"
#include "domain/recording.h"

namespace escribano {

// The port behind which the pictures of one recording are. Not thread-safe: one caller at a time.
class FrameSource {
 public:
  virtual ~FrameSource() = default;

  // Known from the beginning; does not change.
  virtual const RecordingInfo& info() const = 0;

  // Picks frames: the same ones for the same recording and options, on every machine. `on_progress` may be empty; it is
  // called now and then, on the calling thread. Memory does not grow with the length of the recording but for the result
  // itself, and for pictures that are kept as the options say, which replace those of the sample before. Fails with
  // invalid_argument (options), too_large (more than max_frames), unsupported, corrupt (nothing can be decoded), io_error
  // or cancelled.
  virtual Result<Sampling> sample(const SamplingOptions& options,
                                  const std::function<void(const SamplingProgress&)>& on_progress,
                                  std::stop_token stop) = 0;

  // The frame at `timestamp_s`, which is one that sample() gave, as a PNG: the same pixels that its content_hash was made
  // from. Cheapest in order of time, and where sample() kept it, which is good for one call. Fails like sample().
  virtual Result<AnonymousFile> picture(double timestamp_s) = 0;
};

}  // namespace escribano
