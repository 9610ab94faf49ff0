#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/frame_source.h"

namespace escribano {

// Opens a recording in any container and codec that libav reads. Reads the whole file once, for its id. Fails with not_found,
// not_permitted, unsupported (not a video, only audio, a codec that is missing), corrupt (empty, cut off before its index; nothing
// can be decoded), too_large (pictures), io_error, cancelled, or overloaded where the file is still growing; each message names the file and
// the reason. Blocks; `stop` ends it early.
Result<std::unique_ptr<FrameSource>> open_recording(const std::filesystem::path& path,
                                                    const std::stop_token& stop = {});

// Only the id of open_recording(): the content alone decides. Blocks while the whole file is read.
Result<std::string> recording_id(const std::filesystem::path& path, const std::stop_token& stop = {});

// The libraries that read recordings, each with its version: "libavformat 59.27.100".
std::vector<std::string> recording_library_versions();

}  // namespace escribano
