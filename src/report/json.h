#pragma once

#include <string>

#include "report/report.h"

namespace escribano::report {

// What the script of the HTML page reads: {"report": as to_json(), "artefacts": [{"format","text"}]}, as ASCII in which '<',
// '>' and '&' are escaped, so that nothing in it can end the element it stands in. `shown` as shown() gives it.
std::string page_data(const Report& shown);

}  // namespace escribano::report
