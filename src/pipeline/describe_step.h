#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/frame_source.h"
#include "domain/intelligence_service.h"
#include "domain/store.h"

namespace escribano {

// Frames that are to be described.
struct DescribeWork {
  std::string recording_id;
  std::vector<Observation> frames;  // in order of time; with the attempts made before
  std::string model;                // for Observation::model
  DescribeOptions options;          // batch_size frames are described and stored at a time
};

struct DescribeTotals {
  std::size_t tried = 0;
  int generation_tokens = 0;
  double model_ms = 0;
};

// Describes the frames batch by batch, each stored before the next one begins, while a thread of its own decodes the pictures of the
// batches that follow. `totals` counts what is stored, also where the step fails. `on_frame` is called with the number of
// frames finished, on the calling thread. Fails with what the describer or the store fail with; a picture that cannot be decoded
// is a frame that failed, and takes no other along.
Status describe_frames(FrameSource& source, Store& store, IntelligenceService& service, const DescribeWork& work,
                       const std::function<void(std::size_t)>& on_frame, DescribeTotals& totals);

}  // namespace escribano
