#include "store/checks.h"

#include <cmath>
#include <utility>

#include "base/utf8.h"
#include "store/json_list.h"

namespace escribano {
namespace {

Status check_real(std::string_view what, double value) {
  if (!std::isfinite(value)) return fail(Errc::invalid_argument, "{} is {}, which is no number", what, value);
  return {};
}

template <class Integer>
Status check_count(std::string_view what, Integer value) {
  if (!std::in_range<std::int64_t>(value) || static_cast<std::int64_t>(value) < 0) {
    return fail(Errc::invalid_argument, "{} is {}, which is out of range", what, value);
  }
  return {};
}

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }

}  // namespace

bool is_id_prefix(std::string_view text) noexcept { return text.size() >= 4 && text.size() <= 32 && is_hex(text); }

Status check(const RecordingInfo& info) {
  if (info.id.size() != 32 || !is_hex(info.id)) {
    return fail(Errc::invalid_argument, "\"{}\" is no id of a recording: 32 hexadecimal digits",
                to_valid_utf8(info.id));
  }
  ESCRIBANO_CHECK(check_count("the size of the recording", info.bytes));
  ESCRIBANO_CHECK(check_real("the duration of the recording", info.duration_s));
  ESCRIBANO_CHECK(check_count("the width of the recording", info.width_px));
  ESCRIBANO_CHECK(check_count("the height of the recording", info.height_px));
  return {};
}

Status check(const Sampling& sampling) {
  if (sampling.frames.empty()) return fail(Errc::invalid_argument, "the sample has no frame");
  for (std::size_t i = 0; i < sampling.frames.size(); ++i) {
    const SampledFrame& frame = sampling.frames[i];
    ESCRIBANO_CHECK(check_real(fmt::format("the timestamp of frame {}", i), frame.timestamp_s));
    ESCRIBANO_CHECK(check_real(fmt::format("the scene score of frame {}", i), frame.scene_score));
    ESCRIBANO_CHECK(check_real(fmt::format("the change of frame {}", i), frame.change));
    if (i > 0 && frame.timestamp_s <= sampling.frames[i - 1].timestamp_s) {
      return fail(Errc::invalid_argument, "frame {} at {} s is not later than the one before", i, frame.timestamp_s);
    }
    if (frame.source && (*frame.source >= i || sampling.frames[*frame.source].source)) {
      return fail(Errc::invalid_argument, "the source of frame {} is no earlier frame that is described itself", i);
    }
  }
  return {};
}

Status check(const Observation& observation) {
  ESCRIBANO_CHECK(check_count("the position of an observation", observation.position));
  const auto name = [&](std::string_view what) {
    return fmt::format("the {} of frame {}", what, observation.position);
  };
  if (observation.status == ObservationStatus::pending || observation.status == ObservationStatus::unchanged) {
    return fail(Errc::invalid_argument, "{} is {}, which is not saved", name("observation"),
                observation_status_name(observation.status));
  }
  ESCRIBANO_CHECK(check_real(name("timestamp"), observation.timestamp_s));
  ESCRIBANO_CHECK(check_real(name("model time"), observation.model_ms));
  ESCRIBANO_CHECK(check_count(name("number of attempts"), observation.attempts));
  ESCRIBANO_CHECK(check_count(name("number of tokens"), observation.generation_tokens));
  return {};
}

Status check(const Segment& segment) {
  ESCRIBANO_CHECK(check_real("the start of a segment", segment.start_s));
  ESCRIBANO_CHECK(check_real("the end of a segment", segment.end_s));
  if (segment.end_s <= segment.start_s) {
    return fail(Errc::invalid_argument, "a segment from {} s ends at {} s", segment.start_s, segment.end_s);
  }
  return {};
}

Status check(const StepStats& stats) {
  ESCRIBANO_CHECK(check_count("the number of items of a step", stats.items));
  ESCRIBANO_CHECK(check_real("the duration of a step", stats.seconds));
  ESCRIBANO_CHECK(check_count("the number of tokens of a step", stats.generation_tokens));
  ESCRIBANO_CHECK(check_real("the model time of a step", stats.model_ms));
  return {};
}

Error damaged(const Database& database, std::string_view what) {
  return {Errc::corrupt,
          fmt::format("{} is damaged ({}); put a copy of it back, or move it away to start with an empty "
                      "one",
                      database.name(), to_valid_utf8(what))};
}

Result<std::vector<std::string>> list_column(const Database& database, const Statement& row, int column) {
  auto list = from_json_list(row.text(column));
  if (!list) return fail(damaged(database, list.error().message));
  return list;
}

Result<int> int_column(const Database& database, const Statement& row, int column) {
  const std::int64_t value = row.integer(column);
  if (value < 0 || !std::in_range<int>(value)) return fail(damaged(database, fmt::format("a count is {}", value)));
  return static_cast<int>(value);
}

Result<std::size_t> size_column(const Database& database, const Statement& row, int column) {
  const std::int64_t value = row.integer(column);
  if (value < 0) return fail(damaged(database, fmt::format("a count is {}", value)));
  return static_cast<std::size_t>(value);
}

Result<double> real_column(const Database& database, const Statement& row, int column) {
  const double value = row.real(column);
  if (!std::isfinite(value)) return fail(damaged(database, "a time is no number"));
  return value;
}

}  // namespace escribano
