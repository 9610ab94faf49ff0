#pragma once

#include <functional>
#include <stop_token>
#include <vector>

#include "base/error.h"
#include "domain/frame_source.h"
#include "recording/frame_reader.h"
#include "recording/kept_pictures.h"
#include "recording/rgb_converter.h"

namespace escribano::recording {

// FrameSource::sample() over a file that is indexed already. Expects valid options. Frames are decoded on the calling
// thread and compared on another one. Pictures of frames to be described go into `kept` while it has room.
Result<Sampling> sample_recording(const MediaFile& file, const StreamIndex& index, const Presentation& presentation,
                                  const SamplingOptions& options, KeptPictures& kept,
                                  const std::function<void(const SamplingProgress&)>& on_progress,
                                  const std::stop_token& stop);

}  // namespace escribano::recording
