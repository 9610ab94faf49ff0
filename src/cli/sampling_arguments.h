#pragma once

#include <optional>
#include <string>

#include "cli/settings.h"
#include "domain/recording.h"

namespace CLI {
class App;
}

namespace escribano::cli {

// How frames are picked and put together, as given on a command line.
struct SamplingArguments {
  std::optional<double> interval_s;
  std::optional<double> gap_threshold_s;
  std::optional<double> gap_fill_s;
  std::optional<double> scene_threshold;
  std::optional<double> scene_min_interval_s;
  std::optional<double> min_segment_s;
  std::string unchanged;
};
void add_sampling_options(CLI::App& command, SamplingArguments& arguments);
void apply(const SamplingArguments& arguments, Settings& settings);

SamplingOptions sampling_options(const Settings& settings);
// Whether nobody asked for a sampling of their own.
bool has_default_sampling(const Settings& settings);

}  // namespace escribano::cli
