#include "recording/libav.h"

#include <array>
#include <cstdarg>
#include <string_view>

extern "C" {
#include <libavutil/log.h>
}

#include "base/log.h"
#include "base/utf8.h"
#include "recording/recording_file.h"

namespace escribano {
namespace recording {
namespace {

void on_message(void* source, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_WARNING || !log::enabled(log::Level::debug)) return;
  std::array<char, 1024> line = {};
  int print_prefix = 1;
  av_log_format_line2(source, level, format, arguments, line.data(), static_cast<int>(line.size()), &print_prefix);
  std::string_view text(line.data());
  while (text.ends_with('\n')) text.remove_suffix(1);
  if (!text.empty()) log::write(log::Level::debug, "libav: " + to_valid_utf8(text));
}

std::string version_text(const char* library, unsigned version) {
  return fmt::format("{} {}.{}.{}", library, version >> 16, version >> 8 & 0xff, version & 0xff);
}

}  // namespace

std::string libav_error(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text = {};
  av_strerror(error, text.data(), text.size());
  return text.data();
}

void route_libav_log() { av_log_set_callback(on_message); }

bool is_key(const AVFrame& frame) {
#ifdef AV_FRAME_FLAG_KEY
  return (frame.flags & AV_FRAME_FLAG_KEY) != 0;
#else
  return frame.key_frame != 0;
#endif
}

}  // namespace recording

std::vector<std::string> recording_library_versions() {
  return {recording::version_text("libavformat", avformat_version()),
          recording::version_text("libavcodec", avcodec_version()),
          recording::version_text("libswscale", swscale_version())};
}

}  // namespace escribano
