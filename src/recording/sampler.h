#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "base/error.h"
#include "domain/frame_source.h"
#include "recording/frame_reader.h"
#include "recording/rgb_converter.h"

namespace escribano::recording {

// FrameSource::sample() over a file that is indexed already. Expects valid options.
Result<Sampling> sample_recording(const MediaFile& file, const StreamIndex& index, const Presentation& presentation,
                                  const SamplingOptions& options,
                                  const std::function<void(const SamplingProgress&)>& on_progress,
                                  const std::stop_token& stop);

}  // namespace escribano::recording
