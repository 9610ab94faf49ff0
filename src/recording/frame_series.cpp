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
// Screens that somebody goes back and forth between are fewer, and looking through them must stay cheap.
constexpr std::size_t kMaxShown = 64;
constexpr std::size_t kMaxShownBytes = 32U << 20;

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

std::list<FrameSeries::Shown>::iterator FrameSeries::find_same(SampledFrame& frame, const Shown& picture) {
  if (options_.unchanged == UnchangedRule::exact) return shown_.end();
  for (auto shown = shown_.begin(); shown != shown_.end(); ++shown) {
    const bool similar =
        options_.unchanged == UnchangedRule::similar &&
        std::popcount(frames_[shown->index].perceptual_hash ^ frame.perceptual_hash) <= options_.similar_threshold;
    if (!similar && means_differ(shown->means, picture.means, options_.still_threshold)) continue;
    const double change = block_change(shown->luma, picture.luma, options_.still_threshold).largest;
    if (!similar && change > options_.still_threshold) continue;
    frame.change = change;
    return shown;
  }
  return shown_.end();
}

void FrameSeries::show(Shown picture) {
  std::erase_if(shown_, [&](const Shown& other) { return other.index == picture.index; });
  const std::size_t kept = kMaxShownBytes / std::max<std::size_t>(1, picture.luma.levels.size());
  shown_.push_front(std::move(picture));
  if (shown_.size() > std::clamp<std::size_t>(kept, 1, kMaxShown)) shown_.pop_back();
}

Status FrameSeries::add(std::int64_t at_ms, SampleReason reason, const Image& image) {
  SampledFrame frame;
  frame.timestamp_s = static_cast<double>(at_ms) / 1000;
  frame.reason = reason;
  frame.content_hash = content_hash(image);
  Shown picture = {.index = frames_.size(), .luma = luma_of(image)};
  picture.means = block_means(picture.luma);
  frame.perceptual_hash = difference_hash(picture.luma);
  if (!frames_.empty()) {
    frame.scene_score = block_change(before_, picture.luma, options_.still_threshold).share;
    frame.change = block_change(shown_.front().luma, picture.luma, options_.still_threshold).largest;
  }
  before_ = picture.luma;

  const bool describe_all = options_.unchanged == UnchangedRule::none;
  if (const auto equal = described_.find(frame.content_hash); equal != described_.end() && !describe_all) {
    frame.source = equal->second;
    frame.change = 0;
    picture.index = equal->second;  // its pixels are these
    show(std::move(picture));
  } else if (const auto same = describe_all ? shown_.end() : find_same(frame, picture); same != shown_.end()) {
    frame.source = same->index;
    shown_.splice(shown_.begin(), shown_, same);
  } else {
    ESCRIBANO_TRY(frame.thumbnail, thumbnail_of(image, options_.thumbnail_width_px));
    described_.emplace(frame.content_hash, picture.index);
    show(std::move(picture));
  }
  frames_.push_back(std::move(frame));
  return {};
}

}  // namespace escribano::recording
