#pragma once

#include <memory>
#include <string>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
}

// Owners of what libav allocates, and what its releases call differently. Not for use outside src/recording.
namespace escribano::recording {

struct FreeLibav {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFormatContext* context) const { avformat_close_input(&context); }
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
template <class T>
using Libav = std::unique_ptr<T, FreeLibav>;

// What an error of libav means, as text.
std::string libav_error(int error);

// From now on libav's messages go to our log at debug level and never to standard error. A setting of the whole process,
// as libav has no other; calling it again changes nothing.
void route_libav_log();

bool is_key(const AVFrame& frame);

}  // namespace escribano::recording
