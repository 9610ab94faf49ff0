#include "recording/frame_series.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "image/encode_image.h"
#include "image/hash.h"
#include "image/resize.h"

namespace escribano::recording {
namespace {

constexpr int kThumbnailQuality = 70;

Result<std::vector<std::byte>> thumbnail_of(const Image& image, int width_px) {
  if (image.width_px <= width_px) return encode_jpeg(image, kThumbnailQuality);
  const int height_px = std::max(static_cast<int>(std::int64_t{image.height_px} * width_px / image.width_px), 1);
  return encode_jpeg(resize_bicubic(image, {width_px, height_px}), kThumbnailQuality);
}

}  // namespace

std::string content_hash(const Image& image) {
  const ImageHash hash = hash_image(image);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

bool FrameSeries::is_as_reference(const SampledFrame& frame) const {
  if (options_.unchanged == UnchangedRule::exact) return false;
  if (frame.change <= options_.still_threshold) return true;
  return options_.unchanged == UnchangedRule::similar &&
         std::popcount(frames_[reference_index_].perceptual_hash ^ frame.perceptual_hash) <= options_.similar_threshold;
}

Status FrameSeries::add(std::int64_t at_ms, SampleReason reason, const Image& image) {
  SampledFrame frame;
  frame.timestamp_s = static_cast<double>(at_ms) / 1000;
  frame.reason = reason;
  frame.content_hash = content_hash(image);
  Luma luma = luma_of(image);
  frame.perceptual_hash = difference_hash(luma);
  const std::size_t index = frames_.size();
  if (index > 0) {
    frame.scene_score = block_change(before_, luma, options_.still_threshold).share;
    frame.change = block_change(reference_, luma, options_.still_threshold).largest;
  }

  if (const auto same = described_.find(frame.content_hash); same != described_.end()) {
    frame.source = same->second;
    frame.change = 0;
    reference_index_ = same->second;  // its pixels are these
    reference_ = luma;
  } else if (index > 0 && is_as_reference(frame)) {
    frame.source = reference_index_;
  } else {
    ESCRIBANO_TRY(frame.thumbnail, thumbnail_of(image, options_.thumbnail_width_px));
    described_.emplace(frame.content_hash, index);
    reference_index_ = index;
    reference_ = luma;
  }
  before_ = std::move(luma);
  frames_.push_back(std::move(frame));
  return {};
}

}  // namespace escribano::recording
