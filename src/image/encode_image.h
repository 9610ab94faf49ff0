#pragma once

#include <cstddef>
#include <vector>

#include "base/error.h"
#include "image/image.h"

namespace escribano {

// `image` as a PNG file, lossless: decode_image gives the same pixels. Compressed fast rather than well, for pictures that
// are soon read again. Fails with invalid_argument for a picture without area or with the wrong number of bytes, and with
// out_of_memory. Keeps no state, so any thread may call.
Result<std::vector<std::byte>> encode_png(const Image& image);

// The same as a baseline JPEG. `quality` is libjpeg's, 1 to 100, else invalid_argument; a side over 65,500 pixels is
// too_large for the format.
Result<std::vector<std::byte>> encode_jpeg(const Image& image, int quality);

}  // namespace escribano
