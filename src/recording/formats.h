#pragma once

#include <string_view>

#include "recording/libav.h"
#include "recording/media_file.h"

namespace escribano::recording {

// Why a format that libav recognised is none of a recording: it lists other files or addresses, or it is one picture or a
// text. Empty for one that may be opened.
std::string_view why_refused(const AVInputFormat& format);

// Whether the index of such a container can be trusted to lead to the key frame that was asked for.
bool has_trusted_index(const AVInputFormat& format);

// Whether each packet of such a container carries its time in full, unprotected.
bool has_fragile_times(const AVInputFormat& format);

// What the outermost boxes of an MP4 or QuickTime file say.
struct Mp4Boxes {
  bool is_mp4 = false;     // it begins like one
  bool has_index = false;  // there is a whole box that says what the others mean, which recorders write last
  bool is_whole = false;   // the last box ends where the file ends
};
Mp4Boxes mp4_boxes(const MediaFile& file);

}  // namespace escribano::recording
