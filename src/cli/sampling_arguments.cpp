#include "cli/sampling_arguments.h"

#include <CLI/CLI.hpp>

namespace escribano::cli {
namespace {

constexpr double kDay_s = 86'400;

}  // namespace

void add_sampling_options(CLI::App& command, SamplingArguments& arguments) {
  const auto seconds = [&](const char* name, std::optional<double>& value, const char* help, double low) {
    command.add_option(name, value, help)->check(CLI::Range(low, kDay_s))->option_text("S");
  };
  seconds("--interval", arguments.interval_s,
          "Seconds between frames where no scene changes (default: 10, or ESCRIBANO_SAMPLE_INTERVAL)", 0.1);
  seconds("--gap-threshold", arguments.gap_threshold_s,
          "A longer stretch that could not be decoded is looked at again (default: 15)", 0.1);
  seconds("--gap-fill", arguments.gap_fill_s, "... at this spacing (default: 3)", 0.1);
  command
      .add_option("--scene-threshold", arguments.scene_threshold,
                  "Share of the screen that must change for a new scene (default: 0.4)")
      ->check(CLI::Range(0.0, 1.0))
      ->option_text("0..1");
  seconds("--scene-min-interval", arguments.scene_min_interval_s, "Scenes are at least so far apart (default: 2)", 0);
  command
      .add_option("--unchanged", arguments.unchanged,
                  "Which frames are not described again: none; exact: every pixel as in an earlier one; still: nothing "
                  "but what "
                  "encoding a video adds; similar: also small changes (default: still)")
      ->check(CLI::IsMember({"none", "exact", "still", "similar"}))
      ->option_text("none|exact|still|similar");
  seconds("--min-segment", arguments.min_segment_s,
          "Shorter segments join a neighbour (default: 30, or ESCRIBANO_MIN_SEGMENT_S)", 0);
}

void apply(const SamplingArguments& arguments, Settings& settings) {
  const auto set = [](const std::optional<double>& value, Setting<double>& setting, const char* name) {
    if (value) setting.set(*value, name);
  };
  set(arguments.interval_s, settings.sample_interval, "--interval");
  set(arguments.gap_threshold_s, settings.sample_gap_threshold, "--gap-threshold");
  set(arguments.gap_fill_s, settings.sample_gap_fill, "--gap-fill");
  set(arguments.scene_threshold, settings.scene_threshold, "--scene-threshold");
  set(arguments.scene_min_interval_s, settings.scene_min_interval, "--scene-min-interval");
  set(arguments.min_segment_s, settings.min_segment_s, "--min-segment");
  if (const auto rule = unchanged_rule_from_name(arguments.unchanged)) settings.unchanged.set(*rule, "--unchanged");
}

SamplingOptions sampling_options(const Settings& settings) {
  SamplingOptions options;
  options.interval_s = settings.sample_interval.value;
  options.gap_threshold_s = settings.sample_gap_threshold.value;
  options.gap_fill_s = settings.sample_gap_fill.value;
  options.scene_threshold = settings.scene_threshold.value;
  options.scene_min_interval_s = settings.scene_min_interval.value;
  options.unchanged = settings.unchanged.value;
  return options;
}

bool has_default_sampling(const Settings& settings) {
  return settings.sample_interval.is_default() && settings.sample_gap_threshold.is_default() &&
         settings.sample_gap_fill.is_default() && settings.scene_threshold.is_default() &&
         settings.scene_min_interval.is_default() && settings.unchanged.is_default();
}

}  // namespace escribano::cli
