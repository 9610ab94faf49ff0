#pragma once

// Recordings, samples and observations to put into a store.

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "domain/recording.h"
#include "domain/store.h"
#include "store/sqlite_store.h"

namespace escribano {

inline constexpr const char* kMorning = "2026-01-31T08:00:00Z";
inline constexpr const char* kNoon = "2026-01-31T12:00:00Z";
inline constexpr const char* kEvening = "2026-01-31T18:00:00Z";

// An id that begins with `start`; the rest are zeros.
inline std::string id_of(const std::string& start) { return start + std::string(32 - start.size(), '0'); }

inline RecordingInfo recording_info(const std::string& id) {
  return {id, "/recordings/morning.mp4", 123'456'789, 60.5, 1280, 720, "h264", "2026-01-31T07:00:00Z"};
}

// A frame that is described itself. The hash tells its pixels.
inline SampledFrame sampled_frame(double timestamp_s, const std::string& hash) {
  SampledFrame frame;
  frame.timestamp_s = timestamp_s;
  frame.content_hash = hash;
  frame.perceptual_hash = 0xfedcba9876543210;
  frame.thumbnail = {std::byte{0xff}, std::byte{0xd8}, std::byte{0}, std::byte{static_cast<unsigned char>(hash[0])}};
  return frame;
}

inline SampledFrame unchanged_frame(double timestamp_s, const std::string& hash, std::size_t source) {
  SampledFrame frame = sampled_frame(timestamp_s, hash);
  frame.source = source;
  frame.thumbnail.clear();
  return frame;
}

inline Observation described(std::size_t position, double timestamp_s, const std::string& description,
                             std::vector<std::string> apps = {"Terminal"}, std::vector<std::string> topics = {}) {
  Observation observation;
  observation.position = position;
  observation.timestamp_s = timestamp_s;
  observation.status = ObservationStatus::described;
  observation.description = description;
  observation.activity = "coding";
  observation.apps = std::move(apps);
  observation.topics = std::move(topics);
  observation.attempts = 1;
  observation.model = "demo";
  observation.generation_tokens = 44;
  observation.model_ms = 12.25;
  return observation;
}

inline Observation failed(std::size_t position, double timestamp_s, int attempts = 1) {
  Observation observation;
  observation.position = position;
  observation.timestamp_s = timestamp_s;
  observation.status = ObservationStatus::failed;
  observation.error_code = "backend_error";
  observation.error = "the server answered with an error";
  observation.attempts = attempts;
  return observation;
}

inline Observation unparsed(std::size_t position, double timestamp_s) {
  Observation observation;
  observation.position = position;
  observation.timestamp_s = timestamp_s;
  observation.status = ObservationStatus::unparsed;
  observation.raw_response = "I see a screen.";
  observation.attempts = 2;
  observation.model = "demo";
  return observation;
}

// The value, or the end of the test program's case with the message.
template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}
inline void succeed(const Status& status) {
  if (!status) throw std::runtime_error(status.error().message);
}

}  // namespace escribano
