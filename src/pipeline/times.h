#pragma once

// How lengths are written in artefacts. Private to this folder.

#include <string>

namespace escribano {

// "0 s", "45 s", "12 min", "1 h 5 min", "3 min 20 s": seconds only below 10 minutes; rounded.
std::string duration_text(double seconds);

}  // namespace escribano
