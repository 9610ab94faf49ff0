#pragma once

#include <optional>

#include "base/error.h"
#include "domain/frame_result.h"
#include "protocol/json_fields.h"

namespace escribano::protocol {

// What is wrong is noted in the problem of `fields`.
FrameResult read_frame_result(const JsonFields& fields);

// The member "error" (a string with "code" beside it, or an object with both), if there is one. `unnamed` is the code of
// an error that names none, or none of ours.
std::optional<Error> read_error(const JsonFields& fields, Errc unnamed = Errc::backend_error);

}  // namespace escribano::protocol
