#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "domain/frame_source.h"
#include "image/image.h"
#include "support/temp_folder.h"

// Recordings for tests, made by the ffmpeg command. Everything throws where it does not work.
namespace escribano {

// Runs ffmpeg with -y and without a word.
void ffmpeg(std::vector<std::string> arguments);

// A source for `-f lavfi -i`: a grey picture whose level rises by 10 with every second, from 20 on and again after 20
// seconds. The left upper quarter of it is brighter by 30.
std::string clock_source(const std::string& size, int rate, double seconds);
// The second that a picture of clock_source was made for, 0 to 19.
int clock_second(const Image& image);

std::string read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, const std::string& bytes);

std::unique_ptr<FrameSource> open_or_throw(const std::filesystem::path& path);
Sampling sample_or_throw(FrameSource& source, const SamplingOptions& options = {});
Image picture_or_throw(FrameSource& source, double timestamp_s);

Image load_image_bytes(const std::vector<std::byte>& bytes);

// The mean colour of a square of 8 pixels around a place, in parts of the sides.
struct Colour {
  int red = 0;
  int green = 0;
  int blue = 0;
};
Colour colour_at(const Image& image, double x, double y);

}  // namespace escribano
