#pragma once

#include <span>
#include <string>
#include <vector>

#include "domain/recording.h"

namespace escribano {

// Observations and segments without what apps show that are nobody else's business.
struct Shared {
  std::vector<Observation> observations;
  std::vector<Segment> segments;  // with the time in which such an app was the main one left out: there may be gaps
  std::vector<std::string> apps;  // of `excluded` those that were found, as app_name() writes them
  double left_out_s = 0;          // time of the segments that are gone
};

// Leaves out every observation and segment whose main (first) app is one of `excluded` (compared by app_key()). From
// the others the names go from their lists of apps, and the sentences of descriptions that name such an app. Pure.
Shared without_apps(std::span<const Observation> observations, std::span<const Segment> segments,
                    std::span<const std::string> excluded);

}  // namespace escribano
