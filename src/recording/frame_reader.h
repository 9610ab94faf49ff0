#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <stop_token>

#include "base/error.h"
#include "recording/container.h"
#include "recording/stream_index.h"

namespace escribano::recording {

// What can be said for a decoded frame.
enum class Trust : std::uint8_t {
  damaged,  // the decoder met an error in it, or it is missing altogether
  suspect,  // decoded without an error, but after one, with no key frame in between
  intact,
};

// The frame on the screen at an instant. `frame` is valid until the next call of the reader, and null where there is none.
struct ShownFrame {
  const AVFrame* frame = nullptr;
  Trust trust = Trust::damaged;
  std::int64_t at_ms = 0;  // when it appears, rounded up: frame_at() gives it for this instant
};

// Decoded frames by time, from the first frame on. Cheapest in order of time: it decodes forward, and skips what does not
// matter for the instant that is asked for. Which frame is given does not depend on what was asked before.
class FrameReader {
 public:
  // `file` and `index` must outlive it. Fails like Container::open and open_decoder.
  static Result<std::unique_ptr<FrameReader>> open(const MediaFile& file, const StreamIndex& index,
                                                   std::stop_token stop);

  // The frame that is on the screen at `at_ms`: the last one that appears at or before it. Fails with io_error or cancelled
  // only: what cannot be decoded is a damaged frame.
  Result<ShownFrame> frame_at(std::int64_t at_ms);
  // The first frame of all that is not damaged; `frame` is null where there is none.
  Result<ShownFrame> first_readable();
  // The last frame that the search of the last frame_at() came across and that is not damaged; `frame` is null where there
  // was none.
  const ShownFrame& last_readable() const noexcept { return readable_; }

  // When the last frame appears and when it goes, in milliseconds (rounded up).
  std::int64_t last_ms() const { return to_ms(index_.last - index_.first); }
  std::int64_t end_ms() const { return to_ms(index_.end - index_.first); }
  const AVStream& stream() const noexcept { return container_->stream(); }

 private:
  static constexpr std::int64_t kBeginning = std::numeric_limits<std::int64_t>::min();

  struct Decoded {
    Libav<AVFrame> frame;
    Trust trust = Trust::damaged;
    std::int64_t time = 0;        // from the first frame on, in units of the stream
    bool after_an_error = false;  // one that no key frame has mended before this one
  };

  FrameReader(const MediaFile& file, const StreamIndex& index, std::stop_token stop)
      : file_(file), index_(index), stop_(std::move(stop)) {}
  std::int64_t to_ms(std::int64_t time) const;
  bool is_at_or_before(std::int64_t time, std::int64_t at_ms) const;
  Status rewind();
  Status forget_frames();
  Status skip_to_key(std::int64_t key);
  Status go_near(std::int64_t at_ms);
  Result<bool> decode_next(std::int64_t at_ms);
  void take_frame();
  void note_error();
  void advance();
  Status search(std::int64_t at_ms);
  Status send_packet(std::int64_t at_ms);
  Status fill_queue();
  bool is_needed(const AVPacket& packet, std::int64_t at_ms) const;
  bool is_missing(std::int64_t at_ms) const;
  ShownFrame shown(const Decoded& decoded) const;

  const MediaFile& file_;
  const StreamIndex& index_;
  std::stop_token stop_;
  std::unique_ptr<Container> container_;
  Libav<AVCodecContext> decoder_;
  Libav<AVFrame> spare_;
  std::deque<Libav<AVPacket>> queue_;  // read, not yet decoded
  bool packets_ended_ = false;
  bool drained_ = false;
  std::int64_t origin_ = 0;  // time of the first frame as the decoder says it
  bool has_origin_ = false;
  bool skips_ = true;  // key frames have proved to be places to begin at
  // Times of key packets: the last that was decoded, and the one it began at.
  std::int64_t last_key_sent_ = kBeginning;
  std::int64_t begun_at_ = kBeginning;
  std::deque<std::int64_t> sent_;  // times of packets, of which some frames are still to come
  bool is_suspect_ = false;
  bool met_error_ = false;  // since it began at a key frame or at the beginning
  Decoded current_;         // on the screen at the last instant; `frame` null: none
  Decoded next_;            // the one after
  Libav<AVFrame> readable_frame_;
  ShownFrame readable_;
};

}  // namespace escribano::recording
