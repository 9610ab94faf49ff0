#include "recording/stream_index.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "recording/formats.h"

namespace escribano::recording {
namespace {

constexpr AVRational kKeySpacing = {1, 4};
// Containers round their durations, and some count the sound's padding.
constexpr std::int64_t kCutOffUs = 2'000'000;

double seconds(std::int64_t microseconds) { return static_cast<double>(microseconds) / 1e6; }

// What a pass over the packets collects.
class Collector {
 public:
  explicit Collector(AVRational time_base)
      : key_spacing_(std::max<std::int64_t>(av_rescale_q(1, kKeySpacing, time_base), 1)) {}

  void add(const AVPacket& packet) {
    std::int64_t time = packet_time(packet);
    if (packet.pts == AV_NOPTS_VALUE) index.has_presentation_times = false;
    if (time == AV_NOPTS_VALUE) time = packets_ == 0 ? 0 : latest_ + std::max<std::int64_t>(packet.duration, 1);
    if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) {
      ++damaged;
      return;
    }
    latest_ = time;
    ++packets_;
    const bool is_shown = (packet.flags & AV_PKT_FLAG_DISCARD) == 0;
    if ((packet.flags & AV_PKT_FLAG_KEY) != 0) {
      if (index.keys.empty()) {
        // What came before cannot be decoded; what is shown before an open first key frame neither.
        forget();
        if (is_shown) floor_ = time;
      }
      if (index.keys.empty() || time - index.keys.back() >= key_spacing_) index.keys.push_back(time);
    }
    if (!is_shown || time < floor_) return;
    index.first = shown_ == 0 ? time : std::min(index.first, time);
    index.last = shown_ == 0 ? time : std::max(index.last, time);
    if (index.last == time) last_duration_ = packet.duration;
    ++shown_;
  }

  bool empty() const { return shown_ == 0; }

  // The last frame stays as long as the file says, or as the others on average.
  void finish(AVRational average_rate, AVRational time_base) {
    std::int64_t duration = last_duration_;
    if (duration <= 0 && shown_ > 1) duration = (index.last - index.first) / (shown_ - 1);
    if (duration <= 0 && average_rate.num > 0) duration = av_rescale_q(1, av_inv_q(average_rate), time_base);
    index.end = index.last + std::max<std::int64_t>(duration, 0);
  }

  StreamIndex index;
  std::int64_t damaged = 0;

 private:
  void forget() { shown_ = 0; }

  std::int64_t key_spacing_;
  std::int64_t floor_ = std::numeric_limits<std::int64_t>::min();
  std::int64_t latest_ = 0;
  std::int64_t packets_ = 0;
  std::int64_t shown_ = 0;
  std::int64_t last_duration_ = 0;
};

// Why the recording seems to have been cut off; empty: it does not.
std::string cut_off(const Container& container, const MediaFile& file) {
  const AVFormatContext& format = container.format();
  const std::string_view name = format.iformat->name;
  const Mp4Boxes boxes = mp4_boxes(file);
  if (boxes.is_mp4 && !boxes.is_whole) return "its last part is incomplete";
  if (name == "mpegts" && file.bytes() % 188 != 0 && file.bytes() % 192 != 0 && file.bytes() % 204 != 0) {
    return "its last packet is incomplete";
  }
  const bool says_duration = format.duration > 0 && format.duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
  if (name.starts_with("matroska") && !says_duration) return "it was never finished: its header has no duration";
  const std::int64_t start_us = format.start_time == AV_NOPTS_VALUE ? 0 : format.start_time;
  const std::int64_t read_us = container.end_us() - start_us;
  if (says_duration && format.duration > read_us + std::max(kCutOffUs, format.duration / 50)) {
    return fmt::format("its header says {:.1f} s, but there are {:.1f} s", seconds(format.duration), seconds(read_us));
  }
  return {};
}

}  // namespace

std::int64_t packet_time(const AVPacket& packet) { return packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts; }

std::int64_t StreamIndex::key_before(std::int64_t time) const {
  if (keys.empty()) return std::numeric_limits<std::int64_t>::min();
  const auto after = std::upper_bound(keys.begin(), keys.end(), time);
  return after == keys.begin() ? keys.front() : *(after - 1);
}

Result<StreamIndex> index_stream(Container& container, const MediaFile& file) {
  const AVRational time_base = container.stream().time_base;
  Collector collector(time_base);
  const Libav<AVPacket> packet(av_packet_alloc());
  if (!packet) return fail(Errc::out_of_memory, "{}: not enough memory to read it", file.name());
  for (;;) {
    ESCRIBANO_TRY(const bool is_there, container.read(*packet));
    if (!is_there) break;
    collector.add(*packet);
  }
  if (collector.empty()) return fail(Errc::corrupt, "{}: nothing can be decoded: it has no whole frame", file.name());
  collector.finish(container.stream().avg_frame_rate, time_base);
  StreamIndex& index = collector.index;
  index.time_base = time_base;
  std::sort(index.keys.begin(), index.keys.end());
  if (const std::string reason = cut_off(container, file); !reason.empty()) {
    index.warnings.push_back("the recording is cut off: " + reason);
  }
  const std::uint64_t damaged = container.damaged() + static_cast<std::uint64_t>(collector.damaged);
  if (damaged > 0) index.warnings.push_back(fmt::format("{} packets of the recording are damaged", damaged));
  return std::move(index);
}

}  // namespace escribano::recording
