#include "image/library_versions.h"

#include <cstddef>
#include <cstdio>

#include <fmt/core.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

namespace escribano {
namespace {

// libjpeg does not say its version when it runs.
std::string jpeg_version() {
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
  constexpr int kNumber = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005 is 2.1.5
  return fmt::format("libjpeg-turbo {}.{}.{}", kNumber / 1'000'000, kNumber / 1000 % 1000, kNumber % 1000);
#else
  return fmt::format("libjpeg {}", JPEG_LIB_VERSION);
#endif
}

}  // namespace

std::vector<std::string> image_library_versions() {
  const int webp = WebPGetDecoderVersion();  // 0x010204 is 1.2.4
  return {
      jpeg_version(),
      fmt::format("libpng {}", png_get_libpng_ver(nullptr)),
      fmt::format("libwebp {}.{}.{}", webp >> 16, webp >> 8 & 0xff, webp & 0xff),
  };
}

}  // namespace escribano
