#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "base/error.h"
#include "recording/rgb_converter.h"
#include "recording/sample_plan.h"
#include "recording/stream_index.h"

namespace escribano::recording {

// How much each key frame differs from the one before: every other packet is passed over. Looks at about one key frame a second
// where there are more, at a reduced size. One that cannot be decoded is no candidate. `on_position` gets milliseconds. Fails
// like Container::open and read.
Result<std::vector<SceneCandidate>> scan_scenes(const MediaFile& file, const StreamIndex& index,
                                                const Presentation& presentation, double block_threshold,
                                                const std::function<void(std::int64_t)>& on_position,
                                                const std::stop_token& stop);

}  // namespace escribano::recording
