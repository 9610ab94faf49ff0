#include "pipeline/fingerprint.h"

#include <bit>

#include <fmt/format.h>

namespace escribano {
namespace {

void add_list(Fingerprint& fingerprint, std::span<const std::string> items) {
  fingerprint.add(static_cast<double>(items.size()));
  for (const std::string& item : items) fingerprint.add(item);
}

}  // namespace

Fingerprint& Fingerprint::add(std::string_view text) noexcept {
  add(static_cast<double>(text.size()));
  for (const char c : text) add_byte(static_cast<unsigned char>(c));
  return *this;
}

Fingerprint& Fingerprint::add(double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  for (int shift = 0; shift < 64; shift += 8) add_byte(static_cast<unsigned char>(bits >> shift));
  return *this;
}

std::string Fingerprint::text() const { return fmt::format("{:016x}", hash_); }

std::string fingerprint(std::span<const Observation> observations) {
  Fingerprint fingerprint;
  for (const Observation& observation : observations) {
    fingerprint.add(observation.timestamp_s).add(observation_status_name(observation.status));
    fingerprint.add(observation.description).add(observation.activity);
    add_list(fingerprint, observation.apps);
    add_list(fingerprint, observation.topics);
  }
  return fingerprint.text();
}

std::string fingerprint(std::span<const Segment> segments) {
  Fingerprint fingerprint;
  for (const Segment& segment : segments) {
    fingerprint.add(segment.start_s).add(segment.end_s).add(segment.activity).add(segment.description);
    add_list(fingerprint, segment.apps);
    add_list(fingerprint, segment.topics);
  }
  return fingerprint.text();
}

}  // namespace escribano
