#include "domain/recording.h"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace escribano {
namespace {

template <class Enum, std::size_t count>
using Names = std::array<std::pair<Enum, std::string_view>, count>;

template <class Enum, std::size_t count>
std::string_view name_in(const Names<Enum, count>& names, Enum value) noexcept {
  for (const auto& [named, name] : names) {
    if (named == value) return name;
  }
  return "?";
}

template <class Enum, std::size_t count>
std::optional<Enum> value_in(const Names<Enum, count>& names, std::string_view text) noexcept {
  for (const auto& [value, name] : names) {
    if (name == text) return value;
  }
  return std::nullopt;
}

constexpr Names<SampleReason, 5> kSampleReasons = {{{SampleReason::first, "first"},
                                                    {SampleReason::scene, "scene"},
                                                    {SampleReason::interval, "interval"},
                                                    {SampleReason::gap, "gap"},
                                                    {SampleReason::last, "last"}}};
constexpr Names<UnchangedRule, 4> kUnchangedRules = {{{UnchangedRule::none, "none"},
                                                      {UnchangedRule::exact, "exact"},
                                                      {UnchangedRule::still, "still"},
                                                      {UnchangedRule::similar, "similar"}}};
constexpr Names<RecordingState, 5> kRecordingStates = {{{RecordingState::known, "known"},
                                                        {RecordingState::sampled, "sampled"},
                                                        {RecordingState::described, "described"},
                                                        {RecordingState::segmented, "segmented"},
                                                        {RecordingState::summarised, "summarised"}}};
constexpr Names<ObservationStatus, 5> kObservationStatuses = {{{ObservationStatus::pending, "pending"},
                                                               {ObservationStatus::described, "described"},
                                                               {ObservationStatus::unparsed, "unparsed"},
                                                               {ObservationStatus::failed, "failed"},
                                                               {ObservationStatus::unchanged, "unchanged"}}};
constexpr Names<ArtefactFormat, 3> kArtefactFormats = {
    {{ArtefactFormat::card, "card"}, {ArtefactFormat::standup, "standup"}, {ArtefactFormat::narrative, "narrative"}}};

constexpr double kDayS = 86'400;

// Also false for a value that is no number.
bool in_range(double value, double low, double high) { return value >= low && value <= high; }

}  // namespace

std::string_view sample_reason_name(SampleReason reason) noexcept { return name_in(kSampleReasons, reason); }
std::optional<SampleReason> sample_reason_from_name(std::string_view name) noexcept {
  return value_in(kSampleReasons, name);
}

std::string_view unchanged_rule_name(UnchangedRule rule) noexcept { return name_in(kUnchangedRules, rule); }
std::optional<UnchangedRule> unchanged_rule_from_name(std::string_view name) noexcept {
  return value_in(kUnchangedRules, name);
}

std::string_view recording_state_name(RecordingState state) noexcept { return name_in(kRecordingStates, state); }
std::optional<RecordingState> recording_state_from_name(std::string_view name) noexcept {
  return value_in(kRecordingStates, name);
}

std::string_view observation_status_name(ObservationStatus status) noexcept {
  return name_in(kObservationStatuses, status);
}
std::optional<ObservationStatus> observation_status_from_name(std::string_view name) noexcept {
  return value_in(kObservationStatuses, name);
}

std::string_view artefact_format_name(ArtefactFormat format) noexcept { return name_in(kArtefactFormats, format); }
std::optional<ArtefactFormat> artefact_format_from_name(std::string_view name) noexcept {
  return value_in(kArtefactFormats, name);
}

std::vector<std::string> SamplingOptions::validate() const {
  std::vector<std::string> problems;
  const auto seconds = [&](std::string_view name, double value, double low) {
    if (!in_range(value, low, kDayS)) {
      problems.push_back(fmt::format("{} is {} s; it must be from {} to {}", name, value, low, kDayS));
    }
  };
  const auto range = [&](std::string_view name, double value, double low, double high) {
    if (!in_range(value, low, high)) {
      problems.push_back(fmt::format("{} is {}; it must be from {} to {}", name, value, low, high));
    }
  };
  seconds("the sampling interval", interval_s, 0.1);
  seconds("the gap threshold", gap_threshold_s, 0.1);
  seconds("the spacing that fills gaps", gap_fill_s, 0.1);
  seconds("the time between scene changes", scene_min_interval_s, 0);
  range("the scene threshold", scene_threshold, 0, 1);
  range("the threshold for still pictures", still_threshold, 0, 255);
  range("the threshold for similar pictures", similar_threshold, 0, 64);
  range("the width of thumbnails", thumbnail_width_px, 16, 1024);
  if (max_frames < 1) problems.emplace_back("no frame is allowed");
  return problems;
}

std::string SamplingOptions::key() const {
  std::string key = fmt::format("1 interval={} gap={}/{} scene={}/{} unchanged={}", interval_s, gap_threshold_s,
                                gap_fill_s, scene_threshold, scene_min_interval_s, unchanged_rule_name(unchanged));
  // "any": compared with any that was described not long ago; earlier versions knew the last one only.
  if (unchanged == UnchangedRule::still) key += fmt::format("/{}/any", still_threshold);
  if (unchanged == UnchangedRule::similar) key += fmt::format("/{}/{}/any", still_threshold, similar_threshold);
  return key;
}

}  // namespace escribano
