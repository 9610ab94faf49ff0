#include "intelligence/frame_delivery.h"

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "protocol/limits.h"

namespace escribano {
namespace {

constexpr std::size_t kMaxFrames = 2000;         // in one request
constexpr std::size_t kMaxPathBytes = 4U << 20;  // of all frames of one request, as they are written

std::optional<Error> problem_of(const Frame& frame, const std::string& path) {
  if (!is_valid_utf8(path) || path.find('\0') != std::string::npos) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: its path is not UTF-8 and cannot be named to a bridge", printable(frame.path))};
  }
  if (path.empty() || path.size() > protocol::kMaxPathBytes) {
    return Error{Errc::invalid_argument, fmt::format("{}: its path has {} bytes; a bridge takes 1 to {}",
                                                     printable(frame.path), path.size(), protocol::kMaxPathBytes)};
  }
  if (!std::isfinite(frame.timestamp_s)) {
    return Error{Errc::invalid_argument, fmt::format("{}: its timestamp is no number", printable(frame.path))};
  }
  return std::nullopt;
}

// The most that a frame can take in a line: "\u00e9" is the longest way to write a byte.
std::size_t written_bytes(const SentFrame& sent) {
  constexpr std::size_t kPerByte = 6;
  constexpr std::size_t kRest = 80;
  return sent.frame.path.native().size() * kPerByte + kRest;
}

}  // namespace

FrameDelivery::FrameDelivery(std::span<const Frame> images, const OnImageProcessed& on_image_processed,
                             std::vector<FrameResult>& results)
    : images_(images), on_image_processed_(&on_image_processed), results_(&results) {
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::error_code failed;
    std::filesystem::path path = std::filesystem::absolute(images[i].path, failed);
    if (failed) path = images[i].path;
    if (images[i].path.empty()) path.clear();
    if (auto problem = problem_of(images[i], path.native())) {
      failures_.emplace(i, *std::move(problem));
    } else {
      to_send_.push_back({i, {std::move(path), images[i].timestamp_s}});
    }
  }
}

void FrameDelivery::put(const SentFrame& frame, FrameResult result) {
  begun_ = true;
  hand_over_failures(frame.index);
  // A result is one of three things, also where a peer mixes them.
  if (result.error) result.raw_response.reset();
  if (result.error || result.raw_response) {
    result.description.clear();
    result.activity = "unknown";
    result.apps.clear();
    result.topics.clear();
  }
  hand_over(frame.index, std::move(result));
}

void FrameDelivery::put_failure(const SentFrame& frame, Error error) {
  FrameResult result;
  result.error = std::move(error);
  result.stats.attempts = 0;
  put(frame, std::move(result));
}

void FrameDelivery::hand_over(std::size_t index, FrameResult result) {
  result.index = index;
  result.timestamp_s = images_[index].timestamp_s;
  result.image_path = images_[index].path.native();
  results_->push_back(std::move(result));
  if (*on_image_processed_) (*on_image_processed_)(results_->back(), {results_->size(), images_.size()});
}

void FrameDelivery::hand_over_failures(std::size_t end) {
  while (!failures_.empty() && failures_.begin()->first < end) {
    auto failure = failures_.extract(failures_.begin());
    FrameResult result;
    result.error = std::move(failure.mapped());
    result.stats.attempts = 0;
    hand_over(failure.key(), std::move(result));
  }
}

std::vector<FrameRange> split_into_requests(std::span<const SentFrame> frames, std::size_t batch_size) {
  std::vector<FrameRange> ranges;
  if (batch_size == 0) batch_size = 1;
  std::size_t begin = 0;
  while (begin < frames.size()) {
    std::size_t end = begin;
    std::size_t bytes = 0;
    while (end < frames.size() && end - begin < kMaxFrames) {
      bytes += written_bytes(frames[end]);
      if (bytes > kMaxPathBytes && end > begin) break;
      ++end;
    }
    std::size_t count = end - begin;
    if (end < frames.size() && count > batch_size) count -= count % batch_size;
    ranges.push_back({begin, count});
    begin += count;
  }
  return ranges;
}

}  // namespace escribano
