#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "recording/container.h"

namespace escribano::recording {

// What one pass over the packets of a recording tells. Times are those of the packets in units of `time_base`.
struct StreamIndex {
  AVRational time_base = {1, 1000};
  bool has_presentation_times = true;  // else those of decoding stand in for them
  std::int64_t first = 0;              // of the first frame that can be shown
  std::int64_t last = 0;               // of the last frame
  std::int64_t end = 0;                // when the last frame goes
  // Key frames in order, no two of them nearer than a quarter of a second.
  std::vector<std::int64_t> keys;
  std::vector<std::string> warnings;  // cut off, damaged between packets

  // The last key frame at or before `time`; the first one where there is none.
  std::int64_t key_before(std::int64_t time) const;
};

// The time of a packet, as above. AV_NOPTS_VALUE where it has none.
std::int64_t packet_time(const AVPacket& packet);

// Reads the container to its end. Fails with corrupt where there is no packet, and like Container::read.
Result<StreamIndex> index_stream(Container& container, const MediaFile& file);

}  // namespace escribano::recording
