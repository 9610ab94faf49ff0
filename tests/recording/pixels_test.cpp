#include <filesystem>

#include <gmock/gmock.h>

#include "recording/make_recording.h"
#include "recording/recording_file.h"

namespace escribano {
namespace {

class Pixels : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return folder_.path() / name; }

  // A second of one colour, converted to YCbCr by ffmpeg as `how` says and encoded as good as without loss.
  std::filesystem::path flat(const std::string& name, const std::string& colour, const std::string& filter,
                             const std::vector<std::string>& how, const std::string& size = "320x240") const {
    std::vector<std::string> arguments = {
        "-f", "lavfi", "-i", "color=" + colour + ":s=" + size + ":r=5:d=1,format=gbrp", "-vf", filter};
    arguments.insert(arguments.end(), how.begin(), how.end());
    arguments.push_back(at(name));
    ffmpeg(arguments);
    return at(name);
  }

  TempFolder folder_;
};

void expect_near(const Colour& colour, const Colour& expected, int tolerance, const std::string& what) {
  EXPECT_NEAR(colour.red, expected.red, tolerance) << what;
  EXPECT_NEAR(colour.green, expected.green, tolerance) << what;
  EXPECT_NEAR(colour.blue, expected.blue, tolerance) << what;
}

Colour middle(const std::filesystem::path& path) {
  return colour_at(picture_or_throw(*open_or_throw(path), 0), 0.5, 0.5);
}

TEST_F(Pixels, MatrixAndRangeAreThoseOfTheStream) {
  for (const char* matrix : {"bt709", "smpte170m", "bt2020nc"}) {
    for (const char* range : {"tv", "pc"}) {
      for (const char* format : {"yuv420p", "yuv444p", "yuv420p10le"}) {
        const std::string name = std::string(matrix) + "-" + range + "-" + format;
        const std::string scale_matrix = std::string(matrix) == "bt2020nc" ? "bt2020" : matrix;
        const auto path = flat(name + ".mkv", "0xD04020",
                               "scale=out_color_matrix=" + scale_matrix + ":out_range=" + range + ",format=" + format,
                               {"-c:v", "ffv1", "-colorspace", matrix, "-color_range", range});
        expect_near(middle(path), {0xD0, 0x40, 0x20}, 3, name);
      }
    }
  }
}

TEST_F(Pixels, AnH264StreamIsReadByWhatItSays) {
  for (const char* range : {"tv", "pc"}) {
    const auto path = flat(std::string(range) + ".mp4", "0x2060C0",
                           std::string("scale=out_color_matrix=bt709:out_range=") + range + ",format=yuv420p",
                           {"-c:v", "libx264", "-crf", "1", "-colorspace", "bt709", "-color_range", range});
    expect_near(middle(path), {0x20, 0x60, 0xC0}, 4, range);
  }
}

TEST_F(Pixels, WithoutAWordTheHeightSaysWhichMatrix) {
  const auto small = flat("small.mkv", "0xD04020", "scale=out_color_matrix=smpte170m:out_range=tv,format=yuv444p",
                          {"-c:v", "ffv1", "-colorspace", "unspecified"});
  expect_near(middle(small), {0xD0, 0x40, 0x20}, 3, "BT.601");
  const auto large = flat("large.mkv", "0xD04020", "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p",
                          {"-c:v", "ffv1", "-colorspace", "unspecified"}, "1280x720");
  expect_near(middle(large), {0xD0, 0x40, 0x20}, 3, "BT.709");
}

TEST_F(Pixels, RgbAndGreyAreTakenAsTheyAre) {
  for (const char* format : {"bgr0", "gbrp", "rgb24", "gbrp10le"}) {
    const auto path = flat(std::string(format) + ".mkv", "0x102030", std::string("format=") + format, {"-c:v", "ffv1"});
    expect_near(middle(path), {0x10, 0x20, 0x30}, 1, format);
  }
  const auto grey = flat("grey.mkv", "0x404040", "format=gray", {"-c:v", "ffv1"});
  expect_near(middle(grey), {0x40, 0x40, 0x40}, 2, "grey");
}

TEST_F(Pixels, ADarkThemeInHdrStaysReadable) {
  // Text of level 200 on level 30, at a reference white of 203 nits: codes of PQ and HLG by their formulas.
  struct Kind {
    const char* name;
    const char* transfer;
    int dark;  // of 1023, full range
    int light;
  };
  // The PQ codes of 203 nits times the light of levels 30 and 200; those of HLG likewise, through its OOTF.
  for (const Kind kind : {Kind{"pq", "smpte2084", 210, 536}, Kind{"hlg", "arib-std-b67", 149, 673}}) {
    const auto path = at(std::string(kind.name) + ".mkv");
    const std::string levels =
        "if(lt(X\\,W/2)\\," + std::to_string(kind.dark) + "\\," + std::to_string(kind.light) + ")";
    ffmpeg({"-f", "lavfi", "-i",
            "color=black:s=320x240:r=5:d=1,format=yuv444p10le,geq=lum='" + levels + "':cb=512:cr=512", "-c:v", "ffv1",
            "-color_trc", kind.transfer, "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_range", "pc",
            path});
    const Image image = picture_or_throw(*open_or_throw(path), 0);
    expect_near(colour_at(image, 0.25, 0.5), {30, 30, 30}, 3, std::string(kind.name) + " dark");
    expect_near(colour_at(image, 0.75, 0.5), {200, 200, 200}, 4, std::string(kind.name) + " light");
  }
}

TEST_F(Pixels, TenBitHevcWithPqIsToneMapped) {
  const auto path = at("hdr.mp4");
  ffmpeg({"-f", "lavfi", "-i", "color=black:s=320x240:r=5:d=1,format=yuv420p10le,geq=lum='64+876*0.5807':cb=512:cr=512",
          "-c:v", "libx265", "-x265-params",
          "log-level=none:crf=4:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited", path});
  // 0.5807 is the PQ code of 203 nits: reference white, which comes to 244.
  expect_near(middle(path), {244, 244, 244}, 4, "white");
}

TEST_F(Pixels, TheDisplayMatrixTurnsThePicture) {
  // Corners: red, green / blue, white.
  const auto path = at("upright.mp4");
  ffmpeg({"-f", "lavfi", "-i",
          "color=black:s=320x160:r=5:d=1,format=gbrp,geq=r='255*(lt(X\\,W/2)*lt(Y\\,H/2)+gte(X\\,W/2)*gte(Y\\,H/2))':"
          "g='255*gte(X\\,W/2)':b='255*gte(Y\\,H/2)'",
          "-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv444p", path});
  const std::string bytes = read_bytes(path);
  // A 16.16 matrix (a b u c d v x y w) at the end of tkhd, before width and height.
  const std::size_t track = bytes.find("tkhd");
  ASSERT_NE(track, std::string::npos);
  const std::size_t matrix = track + 4 + 4 + 20 + 16;
  const auto number = [](int value) {
    const auto bits = static_cast<std::uint32_t>(value) * 65536u;
    return std::string{static_cast<char>(bits >> 24), static_cast<char>(bits >> 16), static_cast<char>(bits >> 8),
                       static_cast<char>(bits)};
  };
  ASSERT_EQ(bytes.substr(matrix, 4), number(1));
  ASSERT_EQ(bytes.substr(matrix + 16, 4), number(1));
  struct Turn {
    int a, b, c, d;
    const char* corners;  // left upper, right upper, left lower, right lower
  };
  for (const Turn& turn :
       {Turn{1, 0, 0, 1, "RGBW"}, Turn{0, 1, -1, 0, "BRWG"}, Turn{-1, 0, 0, -1, "WBGR"}, Turn{0, -1, 1, 0, "GWRB"},
        Turn{-1, 0, 0, 1, "GRWB"}, Turn{1, 0, 0, -1, "BWRG"}, Turn{0, 1, 1, 0, "RBGW"}, Turn{0, -1, -1, 0, "WGBR"}}) {
    std::string turned = bytes;
    turned.replace(matrix, 4, number(turn.a));
    turned.replace(matrix + 4, 4, number(turn.b));
    turned.replace(matrix + 12, 4, number(turn.c));
    turned.replace(matrix + 16, 4, number(turn.d));
    write_bytes(at("turned.mp4"), turned);
    const auto source = open_or_throw(at("turned.mp4"));
    EXPECT_EQ(source->info().width_px, turn.a != 0 ? 320 : 160);
    EXPECT_EQ(source->info().height_px, turn.a != 0 ? 160 : 320);
    const Image image = picture_or_throw(*source, 0);
    EXPECT_EQ(image.width_px, source->info().width_px);
    std::string corners;
    for (const auto& [x, y] : {std::pair{0.2, 0.2}, {0.8, 0.2}, {0.2, 0.8}, {0.8, 0.8}}) {
      const Colour colour = colour_at(image, x, y);
      const bool red = colour.red > 128;
      const bool green = colour.green > 128;
      corners += red && green ? 'W' : red ? 'R' : green ? (colour.blue > 128 ? 'C' : 'G') : 'B';
    }
    EXPECT_EQ(corners, turn.corners);
  }
}

TEST_F(Pixels, PixelsThatAreNotSquareAreShownSquare) {
  const auto path = flat("wide.mkv", "gray", "setsar=4/3,format=yuv420p", {"-c:v", "ffv1"});
  const auto source = open_or_throw(path);
  EXPECT_EQ(source->info().width_px, 427);
  EXPECT_EQ(source->info().height_px, 240);
  EXPECT_EQ(picture_or_throw(*source, 0).size(), (Size{427, 240}));
  const auto tall = open_or_throw(flat("tall.mkv", "gray", "setsar=1/2,format=yuv420p", {"-c:v", "ffv1"}));
  EXPECT_EQ(tall->info().width_px, 320);
  EXPECT_EQ(tall->info().height_px, 480);
}

TEST_F(Pixels, OddSidesAreKept) {
  const auto path = flat("odd.mkv", "0x40A060", "format=yuv444p", {"-c:v", "ffv1"}, "333x127");
  const auto source = open_or_throw(path);
  EXPECT_EQ(picture_or_throw(*source, 0).size(), (Size{333, 127}));
  const Sampling sampling = sample_or_throw(*source);
  EXPECT_EQ(load_image_bytes(sampling.frames.front().thumbnail).size(), (Size{320, 122}));
}

TEST_F(Pixels, AScreenOfSixThousandPixelsIsReadWhole) {
  const auto path = flat("6k.mp4", "0x204060", "format=yuv420p",
                         {"-c:v", "libx264", "-preset", "ultrafast", "-frames:v", "2"}, "6016x3384");
  const auto source = open_or_throw(path);
  EXPECT_EQ(source->info().width_px, 6016);
  const Image image = picture_or_throw(*source, 0.2);
  EXPECT_EQ(image.size(), (Size{6016, 3384}));
  expect_near(colour_at(image, 0.99, 0.99), {0x20, 0x40, 0x60}, 6, "corner");
}

TEST_F(Pixels, MorePixelsThanAllowedAreRefused) {
  const auto path = at("huge.y4m");
  write_bytes(path, "YUV4MPEG2 W16384 H8192 F5:1 Ip A1:1 C420jpeg\nFRAME\n" + std::string(100'000, 'x'));
  const auto opened = open_recording(path);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::too_large) << opened.error().message;
}

TEST_F(Pixels, AFrameOfAnotherSizeIsScaledToTheFirst) {
  flat("a.ts", "red", "format=yuv420p", {"-c:v", "libx264"}, "320x240");
  flat("b.ts", "blue", "format=yuv420p", {"-c:v", "libx264", "-output_ts_offset", "1"}, "640x480");
  write_bytes(at("both.ts"), read_bytes(at("a.ts")) + read_bytes(at("b.ts")));
  const auto source = open_or_throw(at("both.ts"));
  EXPECT_EQ(source->info().width_px, 320);
  const Image first = picture_or_throw(*source, 0.5);
  const Image second = picture_or_throw(*source, 1.5);
  EXPECT_EQ(second.size(), (Size{320, 240}));
  EXPECT_GT(colour_at(first, 0.5, 0.5).red, 200);
  EXPECT_GT(colour_at(second, 0.5, 0.5).blue, 200);
}

}  // namespace
}  // namespace escribano
