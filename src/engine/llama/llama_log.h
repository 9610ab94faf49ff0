#pragma once

#include <string>

namespace escribano::engine {

// Sends what llama.cpp, ggml and libmtmd log to our log at debug level (their errors at warn). Idempotent.
void capture_llama_log();

// The last error line that llama.cpp logged on this thread since the previous call, for use as the reason in an Error;
// empty if there was none.
std::string take_llama_error();

}  // namespace escribano::engine
