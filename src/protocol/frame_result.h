#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "domain/frame_result.h"

namespace escribano::protocol {

// The result of one frame as bridge and `describe --json` give it: one JSON object without a line end, compact,
// ASCII-escaped, keys in the order of the protocol. Bytes that are not UTF-8 become U+FFFD.
std::string encode(const FrameResult& result);

// The result of one frame of any bridge of the family: decode_answer() says how missing fields count. Fails with
// protocol_error for what is no JSON object or has a value of a wrong type, too_large beyond the limits of a line.
Result<FrameResult> decode_frame_result(std::string_view json);

}  // namespace escribano::protocol
