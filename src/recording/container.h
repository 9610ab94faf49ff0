#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "recording/libav.h"
#include "recording/media_file.h"

namespace escribano::recording {

// The video stream of a recording, packet by packet from the beginning. libav sees the bytes of our file and nothing else: it
// can open no other file and no address.
class Container {
 public:
  // `file` must outlive it. Fails with unsupported (not a recording; only sound; a codec that is missing), corrupt (cut off
  // before its index; no packet), too_large (pictures beyond the limit), io_error or cancelled.
  static Result<std::unique_ptr<Container>> open(const MediaFile& file, std::stop_token stop);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  ~Container();

  const AVStream& stream() const noexcept { return *stream_; }
  const AVFormatContext& format() const noexcept { return *format_; }

  // The next packet of the stream; false at the end. Damage between packets is skipped: damaged() counts it. A packet that
  // came damaged, or with a time that cannot be its own, is marked AV_PKT_FLAG_CORRUPT. Fails with
  // io_error or cancelled.
  Result<bool> read(AVPacket& packet);
  std::uint64_t damaged() const noexcept { return damaged_; }
  // Where the packets of all streams that were read so far end, in microseconds of the container's own time.
  std::int64_t end_us() const noexcept { return end_us_; }

  // Continues at a packet at or before `timestamp` of the stream, as the container's index says. False where it has none that
  // can be trusted; nothing has changed then.
  bool seek(std::int64_t timestamp);

 private:
  explicit Container(const MediaFile& file, std::stop_token stop) : file_(file), stop_(std::move(stop)) {}
  Status open_format();
  Status choose_stream();
  Error opening_failed(const AVInputFormat* format, int error) const;
  void note_end(const AVPacket& packet);
  Result<bool> read_any(AVPacket& packet);
  Status check_time(AVPacket& packet);
  static int read_bytes(void* self, std::uint8_t* out, int size);
  static std::int64_t seek_bytes(void* self, std::int64_t offset, int whence);

  const MediaFile& file_;
  std::stop_token stop_;
  std::uint64_t position_ = 0;
  Error read_error_;  // the first one; an empty message: none
  AVIOContext* io_ = nullptr;
  Libav<AVFormatContext> format_;
  AVStream* stream_ = nullptr;
  std::uint64_t damaged_ = 0;
  std::int64_t end_us_ = 0;
  Libav<AVPacket> ahead_;  // read already, in order to check the one before
  std::optional<std::int64_t> latest_;
};

// Pictures of more pixels are refused, as still pictures are (ImageLimits).
inline constexpr std::int64_t kMaxPixels = std::int64_t{64} << 20;

// A decoder for the stream. Fails with unsupported or out_of_memory.
Result<Libav<AVCodecContext>> open_decoder(const AVStream& stream, const std::string& name, int threads);

}  // namespace escribano::recording
