#pragma once

#include <stop_token>

#include "base/error.h"
#include "domain/frame_source.h"
#include "domain/recording.h"

namespace escribano::cli {

// Prints which frames of a recording would be described, and why, to standard output: for people, or as JSON. Stores nothing.
Status dry_run(FrameSource& source, const SamplingOptions& options, bool json, std::stop_token stop);

}  // namespace escribano::cli
