#pragma once

#include <string>

namespace escribano {

// A position in a recording as people read it: "0:07", "12:34", "1:02:03". Whole seconds, rounded down (83.9999999 counts as
// 84); what is negative or no number is 0:00. Pure.
std::string clock_text(double seconds);

}  // namespace escribano
