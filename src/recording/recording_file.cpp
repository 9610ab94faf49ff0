#include "recording/recording_file.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

extern "C" {
#include <libavutil/dict.h>
}

#include "image/encode_image.h"
#include "recording/frame_reader.h"
#include "recording/kept_pictures.h"
#include "recording/media_file.h"
#include "recording/rgb_converter.h"
#include "recording/sampler.h"
#include "recording/stream_index.h"

namespace escribano {
namespace {

using recording::Container;
using recording::FrameReader;
using recording::KeptPictures;
using recording::MediaFile;
using recording::Presentation;
using recording::RgbConverter;
using recording::ShownFrame;
using recording::StreamIndex;
using recording::Trust;

// Containers write "2026-01-31T12:00:00.000000Z"; anything else is not shown.
std::string captured_at(const AVFormatContext& format, const AVStream& stream) {
  const AVDictionaryEntry* entry = av_dict_get(format.metadata, "creation_time", nullptr, 0);
  if (entry == nullptr) entry = av_dict_get(stream.metadata, "creation_time", nullptr, 0);
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  const std::string_view text = entry != nullptr ? entry->value : "";
  if (text.size() <= kForm.size() || text.back() != 'Z') return {};
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool is_digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !is_digit : text[i] != kForm[i]) return {};
  }
  return std::string(text.substr(0, kForm.size())) + "Z";
}

class RecordingFile : public FrameSource {
 public:
  RecordingFile(MediaFile file, StreamIndex index, Presentation presentation, RecordingInfo info)
      : file_(std::move(file)), index_(std::move(index)), presentation_(presentation), info_(std::move(info)) {}

  const RecordingInfo& info() const override { return info_; }

  Result<Sampling> sample(const SamplingOptions& options,
                          const std::function<void(const SamplingProgress&)>& on_progress,
                          std::stop_token stop) override {
    if (const auto problems = options.validate(); !problems.empty()) {
      return fail(Errc::invalid_argument, "{}", problems.front());
    }
    ESCRIBANO_CHECK(file_.check_unchanged());
    kept_ = KeptPictures(options.kept_pictures_bytes);
    try {
      return recording::sample_recording(file_, index_, presentation_, options, kept_, on_progress, stop);
    } catch (const std::bad_alloc&) {
      return fail(Errc::out_of_memory, "{}: not enough memory to sample it", file_.name());
    }
  }

  Result<AnonymousFile> picture(double timestamp_s) override {
    if (!(timestamp_s >= 0) || timestamp_s > info_.duration_s) {
      return fail(Errc::invalid_argument, "{}: there is no frame at {} s", file_.name(), timestamp_s);
    }
    ESCRIBANO_CHECK(file_.check_unchanged());
    try {
      const std::int64_t at_ms = std::llround(timestamp_s * 1000);
      if (const auto kept = kept_.take(at_ms)) return AnonymousFile::create("frame.png", *kept);
      return make_picture(at_ms);
    } catch (const std::bad_alloc&) {
      return fail(Errc::out_of_memory, "{}: not enough memory to decode it", file_.name());
    }
  }

 private:
  Result<AnonymousFile> make_picture(std::int64_t at_ms) {
    if (!reader_) {
      ESCRIBANO_TRY(reader_, FrameReader::open(file_, index_, {}));
      converter_.emplace(presentation_, file_.name());
    }
    ESCRIBANO_TRY(const ShownFrame shown, reader_->frame_at(at_ms));
    if (shown.trust == Trust::damaged) {
      return fail(Errc::corrupt, "{}: the frame at {} s cannot be decoded", file_.name(),
                  static_cast<double>(at_ms) / 1000);
    }
    ESCRIBANO_TRY(const Image image, converter_->convert(*shown.frame));
    ESCRIBANO_TRY(const std::vector<std::byte> png, encode_png(image));
    return AnonymousFile::create("frame.png", png);
  }

  MediaFile file_;
  StreamIndex index_;
  Presentation presentation_;
  RecordingInfo info_;
  KeptPictures kept_;                    // of the last sample()
  std::unique_ptr<FrameReader> reader_;  // of picture(), made when it is first asked
  std::optional<RgbConverter> converter_;
};

// The first frame that can be decoded says how the others are shown.
Result<Presentation> find_presentation(const MediaFile& file, const StreamIndex& index, const std::stop_token& stop) {
  ESCRIBANO_TRY(const std::unique_ptr<FrameReader> reader, FrameReader::open(file, index, stop));
  ESCRIBANO_TRY(const ShownFrame first, reader->first_readable());
  if (first.frame == nullptr) return fail(Errc::corrupt, "{}: none of its frames can be decoded", file.name());
  return recording::presentation_of(reader->stream(), *first.frame, file.name());
}

Result<std::unique_ptr<FrameSource>> open_file(const std::filesystem::path& path, const std::stop_token& stop) {
  ESCRIBANO_TRY(MediaFile file, MediaFile::open(path));
  RecordingInfo info;
  StreamIndex index;
  {
    // Before the id, which takes longest: what is no recording is refused at once.
    ESCRIBANO_TRY(const std::unique_ptr<Container> container, Container::open(file, stop));
    info.codec = avcodec_get_name(container->stream().codecpar->codec_id);
    info.captured_at = captured_at(container->format(), container->stream());
    ESCRIBANO_TRY(index, recording::index_stream(*container, file));
  }
  ESCRIBANO_TRY(const Presentation presentation, find_presentation(file, index, stop));
  ESCRIBANO_TRY(info.id, file.content_id(stop));
  info.path = file.path();
  info.bytes = file.bytes();
  info.width_px = presentation.shown().width_px;
  info.height_px = presentation.shown().height_px;
  info.duration_s = static_cast<double>(index.end - index.first) * av_q2d(index.time_base);
  return std::make_unique<RecordingFile>(std::move(file), std::move(index), presentation, std::move(info));
}

}  // namespace

Result<std::unique_ptr<FrameSource>> open_recording(const std::filesystem::path& path, const std::stop_token& stop) {
  try {
    return open_file(path, stop);
  } catch (const std::bad_alloc&) {
    return fail(Errc::out_of_memory, "{}: not enough memory to open it", printable(path));
  }
}

Result<std::string> recording_id(const std::filesystem::path& path, const std::stop_token& stop) {
  ESCRIBANO_TRY(const MediaFile file, MediaFile::open(path));
  return file.content_id(stop);
}

}  // namespace escribano
