#include "recording/frame_reader.h"

#include <algorithm>
#include <utility>

namespace escribano::recording {
namespace {

// With more, what libav says of damage in a frame depends on which of its threads comes first.
constexpr int kThreads = 1;
// Frames arrive out of order by at most so many packets in every codec we know.
constexpr std::size_t kLookAheadPackets = 12;
constexpr std::size_t kMaxSentTimes = 256;
constexpr int kMaxErrorsInARow = 1000;
// Reading over packets is cheaper than asking the container's index, unless there are many.
constexpr AVRational kWorthSeeking = {30, 1};
constexpr AVRational kMilliseconds = {1, 1000};

}  // namespace

Result<std::unique_ptr<FrameReader>> FrameReader::open(const MediaFile& file, const StreamIndex& index,
                                                       std::stop_token stop) {
  std::unique_ptr<FrameReader> reader(new FrameReader(file, index, std::move(stop)));
  ESCRIBANO_TRY(reader->container_, Container::open(file, reader->stop_));
  ESCRIBANO_TRY(reader->decoder_, open_decoder(reader->container_->stream(), file.name(), kThreads));
  reader->spare_.reset(av_frame_alloc());
  reader->readable_frame_.reset(av_frame_alloc());
  if (!reader->spare_ || !reader->readable_frame_) {
    return fail(Errc::out_of_memory, "{}: not enough memory to decode it", file.name());
  }
  // Without presentation times the first frame comes out late, by as much as all others do: it has to be seen first.
  if (!index.has_presentation_times) ESCRIBANO_CHECK(reader->search(0));
  return reader;
}

std::int64_t FrameReader::to_ms(std::int64_t time) const {
  return std::max<std::int64_t>(av_rescale_q_rnd(time, index_.time_base, kMilliseconds, AV_ROUND_UP), 0);
}

bool FrameReader::is_at_or_before(std::int64_t time, std::int64_t at_ms) const {
  return av_compare_ts(time, index_.time_base, at_ms, kMilliseconds) <= 0;
}

ShownFrame FrameReader::shown(const Decoded& decoded) const {
  return {decoded.frame.get(), decoded.trust, to_ms(decoded.time)};
}

Result<ShownFrame> FrameReader::frame_at(std::int64_t at_ms) {
  ESCRIBANO_CHECK(search(at_ms));
  if (!current_.frame && begun_at_ != kBeginning && !met_error_) {
    // The key frame was not complete by itself (intra refresh): decode this recording from its beginning.
    skips_ = false;
    ESCRIBANO_CHECK(rewind());
    ESCRIBANO_CHECK(search(at_ms));
  }
  if (!current_.frame) return ShownFrame{};
  ShownFrame result = shown(current_);
  if (is_missing(at_ms)) result.trust = Trust::damaged;
  return result;
}

Result<ShownFrame> FrameReader::first_readable() {
  if (current_.frame || next_.frame) ESCRIBANO_CHECK(rewind());
  while (!drained_) {
    ESCRIBANO_CHECK(decode_next(0));
    if (next_.frame) advance();
    if (current_.frame && current_.trust != Trust::damaged) return shown(current_);
  }
  return ShownFrame{};
}

Status FrameReader::search(std::int64_t at_ms) {
  ESCRIBANO_CHECK(go_near(at_ms));
  readable_ = {};
  for (;;) {
    if (next_.frame) {
      if (!is_at_or_before(next_.time, at_ms)) break;
      advance();
    }
    if (drained_) break;
    ESCRIBANO_CHECK(decode_next(at_ms));
  }
  return {};
}

// The next frame is on the screen now.
void FrameReader::advance() {
  if (current_.frame && current_.trust != Trust::damaged) {
    // The one before may be the last that can be read.
    std::swap(readable_frame_, current_.frame);
    readable_ = {readable_frame_.get(), current_.trust, to_ms(current_.time)};
  }
  current_ = std::move(next_);
  next_ = {};
  while (!sent_.empty() && sent_.front() <= current_.time) sent_.pop_front();
}

// Goes back, or ahead to a key frame, where that is needed.
Status FrameReader::go_near(std::int64_t at_ms) {
  const std::int64_t at = index_.first + av_rescale_q_rnd(at_ms, kMilliseconds, index_.time_base, AV_ROUND_DOWN);
  const bool is_behind =
      (begun_at_ != kBeginning && at < begun_at_) || (current_.frame && !is_at_or_before(current_.time, at_ms));
  if (is_behind) ESCRIBANO_CHECK(rewind());
  const std::int64_t key = index_.key_before(at);
  if (skips_ && key > last_key_sent_ && key <= at) return skip_to_key(key);
  return {};
}

Status FrameReader::forget_frames() {
  if (met_error_) {
    // Damage may have been taken for parameters of the stream, which a decoder keeps.
    ESCRIBANO_TRY(decoder_, open_decoder(container_->stream(), file_.name(), kThreads));
  } else {
    avcodec_flush_buffers(decoder_.get());
  }
  current_ = {};
  next_ = {};
  sent_.clear();
  drained_ = false;
  is_suspect_ = false;
  met_error_ = false;
  return {};
}

Status FrameReader::rewind() {
  ESCRIBANO_CHECK(forget_frames());
  queue_.clear();
  packets_ended_ = false;
  last_key_sent_ = kBeginning;
  begun_at_ = kBeginning;
  ESCRIBANO_TRY(container_, Container::open(file_, stop_));
  return {};
}

Status FrameReader::skip_to_key(std::int64_t key) {
  ESCRIBANO_CHECK(forget_frames());
  begun_at_ = key;
  const std::int64_t position = last_key_sent_ == kBeginning ? index_.first : last_key_sent_;
  if (av_compare_ts(key - position, index_.time_base, 1, kWorthSeeking) > 0 && container_->seek(key)) {
    queue_.clear();
    packets_ended_ = false;
  }
  for (;;) {
    ESCRIBANO_CHECK(fill_queue());
    if (queue_.empty()) break;
    const AVPacket& packet = *queue_.front();
    if ((packet.flags & AV_PKT_FLAG_KEY) != 0 && packet_time(packet) == key) return {};
    queue_.pop_front();
  }
  // The container does not give the same packets again: only from the beginning on it can be followed.
  skips_ = false;
  return rewind();
}

Status FrameReader::fill_queue() {
  while (!packets_ended_ && queue_.size() < kLookAheadPackets) {
    Libav<AVPacket> packet(av_packet_alloc());
    if (!packet) return fail(Errc::out_of_memory, "{}: not enough memory to read it", file_.name());
    ESCRIBANO_TRY(const bool is_there, container_->read(*packet));
    packets_ended_ = !is_there;
    if (is_there) queue_.push_back(std::move(packet));
  }
  return {};
}

// Whether the packet may be the one on the screen: another one that is still due then hides it. Only frames that no other
// refers to are left out for it.
bool FrameReader::is_needed(const AVPacket& packet, std::int64_t at_ms) const {
  const std::int64_t time = packet_time(packet);
  if (packet.pts == AV_NOPTS_VALUE) return true;
  return std::none_of(queue_.begin(), queue_.end(), [&](const Libav<AVPacket>& other) {
    return other->pts != AV_NOPTS_VALUE && other->pts > time && is_at_or_before(other->pts - index_.first, at_ms) &&
           (other->flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD)) == 0;
  });
}

// Whether a frame that should be on the screen never came out of the decoder. Asked for after an error only: some packets
// have no frame by design.
bool FrameReader::is_missing(std::int64_t at_ms) const {
  const bool after_an_error = next_.frame ? next_.after_an_error : is_suspect_;
  if (!after_an_error) return false;
  return std::any_of(sent_.begin(), sent_.end(),
                     [&](std::int64_t time) { return time > current_.time && is_at_or_before(time, at_ms); });
}

void FrameReader::note_error() {
  is_suspect_ = true;
  met_error_ = true;
}

Status FrameReader::send_packet(std::int64_t at_ms) {
  ESCRIBANO_CHECK(fill_queue());
  if (queue_.empty()) {
    avcodec_send_packet(decoder_.get(), nullptr);
    return {};
  }
  const Libav<AVPacket> packet = std::move(queue_.front());
  queue_.pop_front();
  const std::int64_t time = packet_time(*packet);
  const bool is_needed_now = is_needed(*packet, at_ms);
  if ((packet->flags & AV_PKT_FLAG_KEY) != 0 && time != AV_NOPTS_VALUE) last_key_sent_ = std::max(last_key_sent_, time);
  if (is_needed_now && packet->pts != AV_NOPTS_VALUE && (packet->flags & AV_PKT_FLAG_DISCARD) == 0) {
    const std::int64_t from_first = time - index_.first;
    sent_.insert(std::upper_bound(sent_.begin(), sent_.end(), from_first), from_first);
    if (sent_.size() > kMaxSentTimes) sent_.pop_front();
  }
  if ((packet->flags & AV_PKT_FLAG_CORRUPT) != 0) {
    note_error();
    return {};
  }
  decoder_->skip_frame = is_needed_now ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
  if (avcodec_send_packet(decoder_.get(), packet.get()) < 0) note_error();
  return {};
}

Result<bool> FrameReader::decode_next(std::int64_t at_ms) {
  for (int errors = 0;;) {
    const int result = avcodec_receive_frame(decoder_.get(), spare_.get());
    if (result == 0) {
      take_frame();
      return true;
    }
    if (result == AVERROR(EAGAIN)) {
      ESCRIBANO_CHECK(send_packet(at_ms));
      continue;
    }
    if (result != AVERROR_EOF) {
      note_error();
      if (++errors < kMaxErrorsInARow) continue;
    }
    drained_ = true;
    return false;
  }
}

void FrameReader::take_frame() {
  Libav<AVFrame> frame(av_frame_alloc());
  if (!frame) {
    note_error();
    return;
  }
  av_frame_move_ref(frame.get(), spare_.get());
  std::int64_t time = frame->best_effort_timestamp;
  if (!has_origin_) {
    origin_ = index_.has_presentation_times || time == AV_NOPTS_VALUE ? index_.first : time;
    has_origin_ = true;
  }
  const bool is_known = time != AV_NOPTS_VALUE;
  // At the end the decoder gives frames that it has no time for: they follow each other.
  const std::int64_t step = std::max<std::int64_t>(index_.end - index_.last, 1);
  time = is_known ? time - origin_ : (current_.frame ? current_.time + step : 0);

  const bool is_damaged = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
  next_.after_an_error = is_suspect_;
  if (is_damaged) {
    note_error();
  } else if (is_key(*frame)) {
    is_suspect_ = false;
  }
  next_.trust = is_damaged ? Trust::damaged : is_suspect_ ? Trust::suspect : Trust::intact;
  next_.time = time;
  next_.frame = std::move(frame);
}

}  // namespace escribano::recording
