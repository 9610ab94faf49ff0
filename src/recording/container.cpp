#include "recording/container.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <utility>

#include "recording/formats.h"

namespace escribano::recording {
namespace {

constexpr int kIoBufferBytes = 1 << 16;
constexpr std::int64_t kProbeBytes = std::int64_t{16} << 20;
// A demuxer that reports damage without moving on would be asked for ever.
constexpr int kMaxDamageInARow = 64;
constexpr std::int64_t kFarS = 10;

bool is_video(const AVStream& stream) {
  return stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
         (stream.disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS)) == 0;
}

// A preview picture, a cover or a second camera must not win over the screen: what the file calls its default, then the
// largest.
auto rank(const AVStream& stream) {
  const AVCodecParameters& parameters = *stream.codecpar;
  return std::tuple(avcodec_find_decoder(parameters.codec_id) != nullptr,
                    (stream.disposition & AV_DISPOSITION_DEFAULT) != 0,
                    std::int64_t{parameters.width} * parameters.height);
}

std::string codec_text(const AVCodecParameters& parameters) {
  if (parameters.codec_id != AV_CODEC_ID_NONE) return avcodec_get_name(parameters.codec_id);
  std::array<char, AV_FOURCC_MAX_STRING_SIZE> tag = {};
  return fmt::format("\"{}\"", av_fourcc_make_string(tag.data(), parameters.codec_tag));
}

int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

}  // namespace

int Container::read_bytes(void* self, std::uint8_t* out, int size) {
  Container& container = *static_cast<Container*>(self);
  if (container.stop_.stop_requested()) return AVERROR_EXIT;
  auto got = container.file_.read_at(container.position_,
                                     std::as_writable_bytes(std::span(out, static_cast<std::size_t>(size))));
  if (!got) {
    if (container.read_error_.message.empty()) container.read_error_ = std::move(got).error();
    return AVERROR(EIO);
  }
  if (*got == 0) return AVERROR_EOF;
  container.position_ += *got;
  return static_cast<int>(*got);
}

std::int64_t Container::seek_bytes(void* self, std::int64_t offset, int whence) {
  Container& container = *static_cast<Container*>(self);
  const auto bytes = static_cast<std::int64_t>(container.file_.bytes());
  if ((whence & AVSEEK_SIZE) != 0) return bytes;
  std::int64_t from = 0;
  switch (whence & ~AVSEEK_FORCE) {
    case SEEK_SET: break;
    case SEEK_CUR: from = static_cast<std::int64_t>(container.position_); break;
    case SEEK_END: from = bytes; break;
    default: return AVERROR(EINVAL);
  }
  std::int64_t to = 0;
  if (__builtin_add_overflow(from, offset, &to) || to < 0) return AVERROR(EINVAL);
  container.position_ = static_cast<std::uint64_t>(to);
  return to;
}

Container::~Container() {
  format_.reset();  // before what it reads through
  if (io_ != nullptr) {
    av_freep(&io_->buffer);
    avio_context_free(&io_);
  }
}

Result<std::unique_ptr<Container>> Container::open(const MediaFile& file, std::stop_token stop) {
  route_libav_log();
  std::unique_ptr<Container> container(new Container(file, std::move(stop)));
  ESCRIBANO_CHECK(container->open_format());
  ESCRIBANO_CHECK(container->choose_stream());
  return container;
}

Status Container::open_format() {
  auto* buffer = static_cast<unsigned char*>(av_malloc(kIoBufferBytes));
  if (buffer != nullptr) {
    io_ = avio_alloc_context(buffer, kIoBufferBytes, 0, this, &Container::read_bytes, nullptr, &Container::seek_bytes);
    if (io_ == nullptr) av_free(buffer);
  }
  AVFormatContext* format = io_ != nullptr ? avformat_alloc_context() : nullptr;
  if (format == nullptr) return fail(Errc::out_of_memory, "{}: not enough memory to read it", file_.name());
  Libav<AVFormatContext> owned(format);

  // By content alone: the name is nobody's business, least of all that of the protocols.
  const AVInputFormat* input = nullptr;
  int result = av_probe_input_buffer2(io_, &input, "", nullptr, 0, 0);
  if (result < 0) return fail(opening_failed(nullptr, result));
  if (const std::string_view reason = why_refused(*input); !reason.empty()) {
    return fail(Errc::unsupported, "{} is not a recording: {}", file_.name(), reason);
  }
  format->pb = io_;
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  format->io_open = refuse_to_open;
  format->protocol_whitelist = av_strdup("none");
  format->probesize = kProbeBytes;
  format = owned.release();  // freed by avformat_open_input where that fails
  result = avformat_open_input(&format, "", input, nullptr);
  if (result < 0) return fail(opening_failed(input, result));
  format_.reset(format);
  result = avformat_find_stream_info(format, nullptr);
  if (result < 0 && format->nb_streams == 0) return fail(opening_failed(input, result));
  if (stop_.stop_requested()) return fail(Errc::cancelled, "{}: stopped while it was opened", file_.name());
  if (!read_error_.message.empty()) return fail(read_error_);
  return {};
}

Error Container::opening_failed(const AVInputFormat* format, int error) const {
  if (stop_.stop_requested()) return {Errc::cancelled, file_.name() + ": stopped while it was opened"};
  if (!read_error_.message.empty()) return read_error_;
  if (error == AVERROR(ENOMEM)) return {Errc::out_of_memory, file_.name() + ": not enough memory to read it"};
  if (const Mp4Boxes boxes = mp4_boxes(file_); boxes.is_mp4 && !boxes.has_index) {
    return {Errc::corrupt, file_.name() +
                               " was cut off before its index (moov) was written: it is still being recorded, or the "
                               "recorder was stopped"};
  }
  if (format != nullptr) {
    return {Errc::corrupt, fmt::format("{} is cut off or damaged: its beginning cannot be read as {} ({})",
                                       file_.name(), format->name, libav_error(error))};
  }
  return {Errc::unsupported, fmt::format("{} is not a recording in any format that libavformat reads ({})",
                                         file_.name(), libav_error(error))};
}

Status Container::choose_stream() {
  bool has_sound = false;
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    AVStream& stream = *format_->streams[i];
    has_sound = has_sound || stream.codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    if (is_video(stream) && (stream_ == nullptr || rank(stream) > rank(*stream_))) stream_ = &stream;
  }
  const Mp4Boxes boxes = mp4_boxes(file_);
  if (stream_ == nullptr && (format_->nb_streams == 0 || (boxes.is_mp4 && !boxes.has_index))) {
    return fail(opening_failed(format_->iformat, AVERROR_EOF));
  }
  if (stream_ == nullptr) {
    return fail(Errc::unsupported, "{} has {} (container {})", file_.name(),
                has_sound ? "only sound, no pictures" : "no pictures", format_->iformat->name);
  }
  const AVCodecParameters& parameters = *stream_->codecpar;
  if (avcodec_find_decoder(parameters.codec_id) == nullptr) {
    return fail(Errc::unsupported, "{}: no decoder for its codec {} in this build of libavcodec", file_.name(),
                codec_text(parameters));
  }
  if (std::int64_t{parameters.width} * parameters.height > kMaxPixels) {
    return fail(Errc::too_large, "{}: {}x{} pixels; the limit is {}", file_.name(), parameters.width, parameters.height,
                kMaxPixels);
  }
  return {};
}

void Container::note_end(const AVPacket& packet) {
  const std::int64_t begin = packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
  if (begin == AV_NOPTS_VALUE) return;
  const AVRational time_base = format_->streams[packet.stream_index]->time_base;
  end_us_ = std::max(end_us_, av_rescale_q(begin + packet.duration, time_base, AV_TIME_BASE_Q));
}

Result<bool> Container::read_any(AVPacket& packet) {
  for (int damage = 0; damage < kMaxDamageInARow;) {
    av_packet_unref(&packet);
    const int result = av_read_frame(format_.get(), &packet);
    if (stop_.stop_requested()) return fail(Errc::cancelled, "{}: stopped while it was read", file_.name());
    if (!read_error_.message.empty()) return fail(read_error_);
    if (result == AVERROR_EOF) return false;
    if (result < 0) {
      ++damage;
      ++damaged_;
      continue;
    }
    note_end(packet);
    if (packet.stream_index == stream_->index) return true;
  }
  return false;
}

Result<bool> Container::read(AVPacket& packet) {
  bool is_there = false;
  if (ahead_) {
    av_packet_unref(&packet);
    av_packet_move_ref(&packet, ahead_.get());
    ahead_.reset();
    is_there = true;
  } else {
    ESCRIBANO_TRY(is_there, read_any(packet));
  }
  if (is_there && has_fragile_times(*format_->iformat)) ESCRIBANO_CHECK(check_time(packet));
  return is_there;
}

// Such a container has its times in each packet, where damage turns a second into a day. A time far from the one before is
// right if the packet after is near it.
Status Container::check_time(AVPacket& packet) {
  if (packet.dts == AV_NOPTS_VALUE) return {};
  const std::int64_t limit = av_rescale_q(kFarS, {1, 1}, stream_->time_base);
  const auto distance = [](std::int64_t a, std::int64_t b) { return a > b ? a - b : b - a; };
  bool is_right = packet.pts == AV_NOPTS_VALUE || distance(packet.pts, packet.dts) < limit;
  if (is_right && latest_ && distance(packet.dts, *latest_) >= limit) {
    Libav<AVPacket> after(av_packet_alloc());
    if (!after) return fail(Errc::out_of_memory, "{}: not enough memory to read it", file_.name());
    ESCRIBANO_TRY(const bool is_there, read_any(*after));
    if (is_there) {
      is_right = after->dts == AV_NOPTS_VALUE || distance(after->dts, packet.dts) < distance(after->dts, *latest_);
      ahead_ = std::move(after);
    }
  }
  if (is_right) {
    latest_ = packet.dts;
  } else {
    packet.flags |= AV_PKT_FLAG_CORRUPT;
  }
  return {};
}

bool Container::seek(std::int64_t timestamp) {
  if (!has_trusted_index(*format_->iformat)) return false;
  if (avformat_seek_file(format_.get(), stream_->index, INT64_MIN, timestamp, timestamp, 0) < 0) return false;
  ahead_.reset();
  latest_.reset();
  return true;
}

Result<Libav<AVCodecContext>> open_decoder(const AVStream& stream, const std::string& name, int threads) {
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  Libav<AVCodecContext> context(avcodec_alloc_context3(codec));
  if (!context) return fail(Errc::out_of_memory, "{}: not enough memory to decode it", name);
  const int copied = avcodec_parameters_to_context(context.get(), stream.codecpar);
  context->pkt_timebase = stream.time_base;
  context->max_pixels = kMaxPixels;
  context->thread_count = threads;
  const int opened = copied < 0 ? copied : avcodec_open2(context.get(), codec, nullptr);
  if (opened < 0) {
    return fail(opened == AVERROR(ENOMEM) ? Errc::out_of_memory : Errc::unsupported, "{}: codec {}: {}", name,
                codec_text(*stream.codecpar), libav_error(opened));
  }
  return context;
}

}  // namespace escribano::recording
