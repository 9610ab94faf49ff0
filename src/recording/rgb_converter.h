#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/image.h"
#include "recording/libav.h"
#include "recording/screen_change.h"

namespace escribano::recording {

// How the pictures of a recording are looked at.
struct Presentation {
  Size stored;          // of the picture before it is turned, with square pixels
  int orientation = 1;  // how it is turned then: 1 to 8 as the EXIF standard numbers them

  Size shown() const { return orientation >= 5 ? Size{stored.height_px, stored.width_px} : stored; }
};

// From the first frame and the stream's display matrix. Fails with unsupported (no size) or too_large.
Result<Presentation> presentation_of(const AVStream& stream, const AVFrame& first, const std::string& name);

// Decoded frames as 8-bit sRGB. Matrix and range are those that the frame states; where it does not, BT.601 up to 576 rows
// and BT.709 above, and the limited range (for grey the full one). PQ and HLG are tone-mapped (tone_map.h). Alpha is dropped. A frame of another
// size is scaled to that of the presentation. The same pixels on every machine. Not thread-safe.
class RgbConverter {
 public:
  RgbConverter(Presentation presentation, std::string name) : presentation_(presentation), name_(std::move(name)) {}

  // Fails with unsupported or out_of_memory.
  Result<Image> convert(const AVFrame& frame);
  // Brightness alone, not turned, shrunk to at most `max_width_px`: for comparing frames.
  Result<Luma> small_luma(const AVFrame& frame, int max_width_px);

 private:
  Status choose_scaler(const AVFrame& frame, AVPixelFormat to, Size size);
  Result<std::size_t> scale(const AVFrame& frame, AVPixelFormat to, Size size, std::size_t row_bytes,
                            std::size_t planes);
  Status scale_packed(const AVFrame& frame, AVPixelFormat to, Size size, std::uint8_t* out, std::size_t row_bytes);
  Status scale_to_rgb(const AVFrame& frame, Size size, std::uint8_t* out);

  Presentation presentation_;
  std::string name_;
  Libav<SwsContext> scaler_;
  std::vector<std::int64_t> scaler_key_;
  std::vector<std::uint8_t> padded_;
  std::vector<std::uint16_t> deep_;
};

}  // namespace escribano::recording
