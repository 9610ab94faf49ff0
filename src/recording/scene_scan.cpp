#include "recording/scene_scan.h"

#include <algorithm>
#include <optional>

namespace escribano::recording {
namespace {

// Less than a second, so that recordings with a key frame about every second are looked at whole.
constexpr AVRational kSpacing = {9, 10};  // seconds
constexpr AVRational kMilliseconds = {1, 1000};
constexpr int kWidthPx = 640;

// The frame of one key packet, alone. Null where it is damaged.
const AVFrame* decode_alone(AVCodecContext& decoder, const AVPacket& packet, AVFrame& frame) {
  avcodec_flush_buffers(&decoder);
  if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0 || avcodec_send_packet(&decoder, &packet) < 0) return nullptr;
  if (avcodec_send_packet(&decoder, nullptr) < 0 || avcodec_receive_frame(&decoder, &frame) < 0) return nullptr;
  const bool is_damaged = (frame.flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame.decode_error_flags != 0;
  return is_damaged ? nullptr : &frame;
}

}  // namespace

Result<std::vector<SceneCandidate>> scan_scenes(const MediaFile& file, const StreamIndex& index,
                                                const Presentation& presentation, double block_threshold,
                                                const std::function<void(std::int64_t)>& on_position,
                                                const std::stop_token& stop) {
  ESCRIBANO_TRY(const std::unique_ptr<Container> container, Container::open(file, stop));
  ESCRIBANO_TRY(Libav<AVCodecContext> decoder, open_decoder(container->stream(), file.name(), 1));
  const Libav<AVPacket> packet(av_packet_alloc());
  const Libav<AVFrame> frame(av_frame_alloc());
  if (!packet || !frame) return fail(Errc::out_of_memory, "{}: not enough memory to read it", file.name());
  RgbConverter converter(presentation, file.name());
  std::vector<SceneCandidate> candidates;
  std::optional<Luma> before;
  std::optional<std::int64_t> looked_at;
  for (;;) {
    ESCRIBANO_TRY(const bool is_there, container->read(*packet));
    if (!is_there) break;
    const std::int64_t time = packet_time(*packet);
    if ((packet->flags & AV_PKT_FLAG_KEY) == 0 || time == AV_NOPTS_VALUE) continue;
    if (looked_at && av_compare_ts(time - *looked_at, index.time_base, 1, kSpacing) < 0) continue;
    const AVFrame* key = decode_alone(*decoder, *packet, *frame);
    if (key == nullptr) {
      // What was damaged may have been taken for parameters of the stream, which a decoder keeps.
      ESCRIBANO_TRY(decoder, open_decoder(container->stream(), file.name(), 1));
      continue;
    }
    looked_at = time;
    ESCRIBANO_TRY(Luma luma, converter.small_luma(*key, kWidthPx));
    const std::int64_t at_ms =
        std::max<std::int64_t>(av_rescale_q_rnd(time - index.first, index.time_base, kMilliseconds, AV_ROUND_UP), 0);
    if (before) candidates.push_back({at_ms, block_change(*before, luma, block_threshold).share});
    before = std::move(luma);
    av_frame_unref(frame.get());
    if (on_position) on_position(at_ms);
  }
  return candidates;
}

}  // namespace escribano::recording
