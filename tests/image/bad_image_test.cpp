#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "image/encode.h"
#include "image/image.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

// An error of this code whose message names the file and says why.
void expect_error(const Result<Image>& result, Errc code, const std::string& reason) {
  ASSERT_FALSE(result) << "decoded, but expected: " << reason;
  EXPECT_EQ(errc_name(result.error().code), errc_name(code)) << result.error().message;
  EXPECT_THAT(result.error().message, testing::StartsWith("shot.png"));
  EXPECT_THAT(result.error().message, testing::HasSubstr(reason));
}

Result<Image> decode(const Bytes& bytes, const ImageLimits& limits = {}) {
  return decode_image(bytes, limits, "shot.png");
}

Bytes text(std::string_view content) {
  const auto bytes = std::as_bytes(std::span(content));
  return {bytes.begin(), bytes.end()};
}

// The header of a PNG of this size, and the end.
Bytes empty_png(std::uint32_t width_px, std::uint32_t height_px) {
  Bytes header;
  for (const std::uint32_t side : {width_px, height_px}) {
    for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<std::byte>(side >> shift));
  }
  for (const int field : {8, 2, 0, 0, 0}) header.push_back(static_cast<std::byte>(field));
  return png_file(std::vector{png_chunk("IHDR", header), png_chunk("IEND", {})});
}

// `jpeg` claiming another size, in its frame header.
Bytes resized_jpeg(Bytes jpeg, std::uint16_t side_px) {
  const Bytes marker = text("\xFF\xC0");
  const auto frame = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
  for (const int at : {5, 7}) {
    frame[at] = static_cast<std::byte>(side_px >> 8);
    frame[at + 1] = static_cast<std::byte>(side_px);
  }
  return jpeg;
}

TEST(BadImage, EmptyIsCorrupt) { expect_error(decode({}), Errc::corrupt, "empty"); }

TEST(BadImage, TextNamedPngIsUnsupported) {
  expect_error(decode(text("hello, this is not a picture")), Errc::unsupported, "not a JPEG, PNG or WebP");
}

TEST(BadImage, OtherFormatsAreUnsupported) {
  for (const std::string_view start : {"GIF89a", "BM", "\xFF\xD8", "RIFF\x04\1\1\1WAVE", "\x89PNG"}) {
    expect_error(decode(text(start)), Errc::unsupported, "not a JPEG, PNG or WebP");
  }
}

TEST(BadImage, MissingFileAndFolderAreNamed) {
  const TempFolder folder;
  const auto missing = load_image(folder.path() / "gone.png", {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::not_found);
  EXPECT_THAT(missing.error().message, testing::HasSubstr("gone.png"));
  const auto directory = load_image(folder.path(), {});
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, Errc::unsupported);
  EXPECT_THAT(directory.error().message, testing::HasSubstr("directory"));
}

TEST(BadImage, AFileIsNamedInErrorsOfItsContent) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "empty.png", ""));
  const auto empty = load_image(folder.path() / "empty.png", {});
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, Errc::corrupt);
  EXPECT_THAT(empty.error().message, testing::HasSubstr("empty.png"));
}

TEST(BadImage, TooManyBytesAreRefusedFromMemoryAndFromAFile) {
  const Bytes png = encode_png(gradient({4, 4}));
  expect_error(decode(png, {.max_bytes = png.size() - 1}), Errc::too_large, "the limit is");
  EXPECT_TRUE(decode(png, {.max_bytes = png.size()}));
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "f.png", "12345"));
  EXPECT_EQ(load_image(folder.path() / "f.png", {.max_bytes = 4}).error().code, Errc::too_large);
}

TEST(BadImage, SizesBeyondTheLimitAreRefusedFromTheHeader) {
  expect_error(decode(empty_png(60'000, 60'000)), Errc::too_large, "60000x60000");
  expect_error(decode(empty_png(0x7FFFFFFF, 0x7FFFFFFF)), Errc::too_large, "2147483647x2147483647");
  expect_error(decode(resized_jpeg(encode_jpeg(gradient({8, 8})), 60'000)), Errc::too_large, "60000x60000");
  expect_error(decode(resized_jpeg(encode_jpeg(gradient({8, 8})), 65'535)), Errc::too_large, "65500");
  Bytes webp = encode_webp(gradient({8, 8}));
  for (const std::size_t at : {21u, 22u, 23u}) webp[at] = std::byte{0xFF};  // both sides, 14 bits each
  webp[24] |= std::byte{0x0F};
  expect_error(decode(webp), Errc::too_large, "16384x16384");
}

TEST(BadImage, SizesThatFitNoMemoryAreRefusedWhateverTheLimits) {
  const ImageLimits none = {.max_bytes = ~0ull, .max_pixels = ~0ull, .max_jpeg_scans = 1 << 30};
  const auto result = decode(empty_png(0x7FFFFFFF, 0x7FFFFFFF), none);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::too_large);
}

TEST(BadImage, DefaultLimitsPassA6kScreen) {
  EXPECT_GE(ImageLimits{}.max_pixels, 6016u * 3384u);
  EXPECT_EQ(decode(empty_png(6016, 3384)).error().code, Errc::corrupt);  // not for its size, but for want of pixels
}

TEST(BadImage, ThePixelLimitIsExact) {
  for (const Bytes& file :
       {encode_png(gradient({6, 5})), encode_jpeg(gradient({6, 5})), encode_webp(gradient({6, 5}))}) {
    EXPECT_TRUE(decode(file, {.max_pixels = 30}));
    expect_error(decode(file, {.max_pixels = 29}), Errc::too_large, "6x5");
  }
}

TEST(BadImage, AnImageWithoutAreaIsCorrupt) {
  expect_error(decode(empty_png(0, 5)), Errc::corrupt, "0x5");
  EXPECT_EQ(decode(resized_jpeg(encode_jpeg(gradient({8, 8})), 0)).error().code, Errc::corrupt);
}

TEST(BadImage, EveryTruncationIsAnError) {
  const Image image = gradient({19, 23});
  const Bytes exif = exif_block(6, false);
  const Bytes files[] = {
      encode_jpeg(image, {.quality = 90, .exif = exif}),
      encode_jpeg(image, {.quality = 90, .progressive = true}),
      encode_png(image, exif),
      encode_png(PngSource{.width_px = 19, .height_px = 23, .rows = image.rgb, .interlaced = true}),
      encode_webp(image, {.exif = exif}),
      encode_webp(image, {.lossless = false}),
  };
  for (const Bytes& file : files) {
    ASSERT_TRUE(decode(file));
    for (std::size_t length = 0; length < file.size(); ++length) {
      // A vector of its own, so that AddressSanitizer sees a read past the cut.
      const Bytes cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(length));
      const auto result = decode(cut);
      ASSERT_FALSE(result) << length << " of " << file.size() << " bytes";
      EXPECT_TRUE(result.error().code == Errc::corrupt || result.error().code == Errc::unsupported)
          << result.error().message;
    }
  }
}

TEST(BadImage, NoChangedByteIsFatal) {
  const Image image = gradient({19, 23});
  const Bytes files[] = {encode_jpeg(image, {.quality = 90, .exif = exif_block(6, false)}),
                         encode_jpeg(image, {.quality = 90, .progressive = true}),
                         encode_webp(image, {.exif = exif_block(6, true)}), encode_webp(image, {.lossless = false})};
  const ImageLimits small = {.max_pixels = 1 << 16};
  for (const Bytes& file : files) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xFF}) {
        Bytes changed = file;
        changed[at] ^= static_cast<std::byte>(flip);
        if (const auto result = decode(changed, small)) {
          EXPECT_EQ(result->rgb.size(), 3u * result->width_px * result->height_px);
        } else {
          EXPECT_THAT(result.error().message, testing::StartsWith("shot.png"));
        }
      }
    }
  }
}

TEST(BadImage, AnyChangedByteOfAPngFailsItsChecksum) {
  const Bytes file = encode_png(gradient({5, 4}), exif_block(6, false));
  for (std::size_t at = 0; at < file.size(); ++at) {
    Bytes changed = file;
    changed[at] ^= std::byte{0x20};
    EXPECT_FALSE(decode(changed)) << "byte " << at;
  }
}

TEST(BadImage, CompressedMetadataIsNotUnpacked) {
  const Image image = gradient({5, 4});
  Bytes file = encode_png(image);
  // A text chunk whose compressed part is no zlib stream, behind the header chunk.
  const Bytes chunk = png_chunk("zTXt", text(std::string_view("Comment\0\0not zlib", 17)));
  file.insert(file.begin() + 8 + 12 + 13, chunk.begin(), chunk.end());
  EXPECT_EQ(decode(file).value(), image);
}

TEST(BadImage, AnAnimatedWebpIsUnsupported) {
  expect_error(decode(encode_animated_webp(gradient({8, 8}))), Errc::unsupported, "animations");
}

TEST(BadImage, AJpegOfVeryManyScansIsRefused) {
  const Image image = gradient({8, 8});
  const Bytes file = encode_jpeg(image, {.scan_per_coefficient = true});
  expect_error(decode(file), Errc::too_large, "100 scans");
  EXPECT_EQ(decode(file, {.max_jpeg_scans = 190}).value(), decode(encode_jpeg(image)).value());
}

TEST(BadImage, AJpegOf12BitsIsUnsupported) {
  Bytes jpeg = encode_jpeg(gradient({8, 8}));
  const Bytes marker = text("\xFF\xC0");
  const auto frame = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
  frame[4] = std::byte{12};
  expect_error(decode(jpeg), Errc::unsupported, "precision 12");
}

}  // namespace
}  // namespace escribano
