#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "report/report.h"

namespace escribano {

// The bundled sample as a run with a frame every 3 s would store it: segments and texts of session-a.truth.json, frames of
// the still stretch unchanged, pictures of assets/samples/frames/ as thumbnails.
Report sample_report();

// Texts that try to break out of every form.
std::vector<std::string> attacks();
// The sample with `text` in every field that a recording or a model can fill.
Report report_with(std::string_view text);

// Two segments with a gap between them, frames of every status. Times and texts are easy to recognise.
Report small_report();

// `frames` frames, each described and with a picture, over hours; the sample again and again.
Report long_report(std::size_t frames);

}  // namespace escribano
