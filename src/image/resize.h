#pragma once

#include <cstdint>

#include "base/error.h"
#include "image/image.h"

namespace escribano {

// How many pixels a vision tower of the Qwen-VL family is shown. Defaults are those of Qwen3-VL's
// preprocessor_config.json. One image token covers a square of patch_size_px * merge_size pixels a side.
struct PixelRule {
  int patch_size_px = 16;
  int merge_size = 2;                    // patches a side that become one token
  std::int64_t min_pixels = 65'536;      // smaller pictures are enlarged; more of them cost more time
  std::int64_t max_pixels = 16'777'216;  // larger pictures are shrunk; time and memory of the model grow with it

  friend bool operator==(const PixelRule&, const PixelRule&) = default;
};

// The size at which the model sees a picture of size `original`: sides that are multiples of a token's, at about the
// same ratio, min_pixels <= area <= max_pixels as far as that is possible. The same function as smart_resize in
// transformers (models/qwen2_vl/image_processing_qwen2_vl.py), with Python's rounding of halves to even. Pure; expects
// the default floating-point rounding mode.
// Errors: invalid_argument for a side, patch, merge or pixel count below 1 or min_pixels > max_pixels; unsupported for
// sides in a ratio above 200; too_large for sides beyond int.
Result<Size> model_image_size(Size original, const PixelRule& rule);

// `image` at the size `to` by the antialiased bicubic filter of the reference implementation, to the last bit: that of
// torch for 8-bit pictures on a CPU (aten/src/ATen/native/cpu/UpSampleKernel.cpp and UpSampleKernelAVXAntialias.h),
// which Qwen2VLImageProcessorFast calls through torchvision. Horizontal first, rounded to 8 bits after each axis.
// Returns a copy where the size is right already, and an empty picture where a side of either size is below 1 or `image`
// does not hold the bytes that its size needs. Throws only what std::vector throws when memory is short. Takes about
// 3 ms per megapixel when shrinking; keeps no state, so any thread may call.
Image resize_bicubic(const Image& image, Size to);

}  // namespace escribano
