#include "recording/make_recording.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "recording/recording_file.h"
#include "support/run_command.h"

namespace escribano {
namespace {

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

}  // namespace

void ffmpeg(std::vector<std::string> arguments) {
  std::vector<std::string> command = {FFMPEG_EXECUTABLE, "-nostdin", "-y", "-loglevel", "error", "-threads", "1"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const CommandResult result = run_command(command);
  if (result.exit_code != 0) throw std::runtime_error("ffmpeg: " + result.err);
}

std::string clock_source(const std::string& size, int rate, double seconds) {
  // By rgb, so that each codec gets the levels in its own range.
  return "color=black:s=" + size + ":r=" + std::to_string(rate) + ":d=" + std::to_string(seconds) +
         ",format=gray,geq=lum='20+10*mod(floor(T+0.001)\\,20)+30*lt(X\\,W/2)*lt(Y\\,H/2)',format=gbrp";
}

int clock_second(const Image& image) {
  return static_cast<int>(std::lround((colour_at(image, 0.75, 0.75).green - 20) / 10.0));
}

std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::istreambuf_iterator<char> begin(file);
  return {begin, std::istreambuf_iterator<char>()};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path.native());
}

std::unique_ptr<FrameSource> open_or_throw(const std::filesystem::path& path) {
  return value_or_throw(open_recording(path));
}

Sampling sample_or_throw(FrameSource& source, const SamplingOptions& options) {
  return value_or_throw(source.sample(options, {}, {}));
}

Image picture_or_throw(FrameSource& source, double timestamp_s) {
  const AnonymousFile file = value_or_throw(source.picture(timestamp_s));
  return value_or_throw(load_image(file.path(), {}));
}

Image load_image_bytes(const std::vector<std::byte>& bytes) {
  return value_or_throw(decode_image(bytes, {}, "picture"));
}

Colour colour_at(const Image& image, double x, double y) {
  constexpr int kSide = 8;
  const int left = std::clamp(static_cast<int>(x * image.width_px) - kSide / 2, 0, std::max(image.width_px - kSide, 0));
  const int top =
      std::clamp(static_cast<int>(y * image.height_px) - kSide / 2, 0, std::max(image.height_px - kSide, 0));
  std::int64_t sums[3] = {};
  std::int64_t count = 0;
  for (int row = top; row < std::min(top + kSide, image.height_px); ++row) {
    for (int column = left; column < std::min(left + kSide, image.width_px); ++column, ++count) {
      for (int c = 0; c < 3; ++c)
        sums[c] += image.rgb[3 * (static_cast<std::size_t>(row) * image.width_px + column) + c];
    }
  }
  const auto mean = [&](int c) { return static_cast<int>((sums[c] + count / 2) / count); };
  return {mean(0), mean(1), mean(2)};
}

}  // namespace escribano
