#pragma once

// What `escribano doctor` looks at. Each check blocks for seconds at most, but for check_model, which imports a folder that
// is used for the first time, and check_frame, whose deadline is minutes. None changes anything else.

#include <chrono>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string_view>

#include "base/error.h"
#include "cli/doctor_report.h"
#include "cli/services.h"
#include "cli/settings.h"
#include "protocol/request.h"

namespace escribano::cli {

// Processor, memory, GPUs.
Check check_machine();
// The versions of what is linked.
Check check_libraries();
// `settings` as they were read: the file, the folder for state, the files that came with the program.
Check check_configuration(const Result<Settings>& settings, const Environment& environment);

// Whether frames are described by a model that this program loads itself, and not by a server or somebody else's bridge.
bool own_vlm(const Settings& settings, bool in_process);

// The model that describes frames.
Check check_vlm_model(const Settings& settings, const Environment& environment, const VlmArguments& arguments);
// The model that writes texts, if another one was chosen for that; nullopt otherwise.
std::optional<Check> check_llm_model(const Settings& settings, const Environment& environment);

// Where the bridge of `mode` listens, or will.
Check check_socket(const Settings& settings, protocol::Mode mode);
// What was chosen to describe frames (vlm) or to write texts (llm): a server is asked for its models.
Check check_backend(const Settings& settings, protocol::Mode mode, bool in_process);
// An Ollama on this machine that nobody chose, as somebody may want to; nullopt where none answers.
std::optional<Check> check_unused_ollama(const Settings& settings);

// Has one real picture described, the way `escribano describe` would. Nullopt where `stop` ended it.
std::optional<Check> check_frame(const Settings& settings, const Environment& environment,
                                 const VlmArguments& arguments, std::stop_token stop);

// Has a few words written by what was chosen to write texts. Nullopt where `stop` ended it.
std::optional<Check> check_writing(const Settings& settings, const Environment& environment, std::stop_token stop);

}  // namespace escribano::cli
