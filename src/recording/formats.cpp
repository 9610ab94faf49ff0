#include "recording/formats.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace escribano::recording {
namespace {

using namespace std::string_view_literals;

// A format has several names, separated by commas.
bool is_named(const AVInputFormat& format, std::string_view name) {
  std::string_view names = format.name;
  while (!names.empty()) {
    const std::size_t end = std::min(names.find(','), names.size());
    if (names.substr(0, end) == name) return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

constexpr std::array kLists = {
    "hls"sv, "applehttp"sv, "dash"sv,   "webm_dash_manifest"sv, "concat"sv,      "imf"sv,   "sdp"sv,  "rtsp"sv,
    "rtp"sv, "sap"sv,       "mpjpeg"sv, "avisynth"sv,           "vapoursynth"sv, "lavfi"sv, "mpsub"sv};
constexpr std::array kTexts = {"tty"sv, "bin"sv, "xbin"sv, "adf"sv, "idf"sv, "ffmetadata"sv};

std::uint64_t big_endian(const std::array<std::byte, 16>& bytes, std::size_t offset, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = offset; i < offset + count; ++i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

}  // namespace

std::string_view why_refused(const AVInputFormat& format) {
  const auto is = [&](std::string_view name) { return is_named(format, name); };
  const std::string_view name = format.name;
  if (std::any_of(kLists.begin(), kLists.end(), is))
    return "it is a list of other files or addresses, which are not opened";
  if (name.ends_with("_pipe") || name.starts_with("image2")) {
    return "it is a single picture (`escribano describe` reads pictures)";
  }
  if (std::any_of(kTexts.begin(), kTexts.end(), is)) return "it is a text";
  if ((format.flags & AVFMT_NOFILE) != 0) return "its format is not one of files";
  return {};
}

bool has_trusted_index(const AVInputFormat& format) { return is_named(format, "mp4") || is_named(format, "matroska"); }

bool has_fragile_times(const AVInputFormat& format) {
  return is_named(format, "mpegts") || is_named(format, "mpeg") || is_named(format, "flv");
}

Mp4Boxes mp4_boxes(const MediaFile& file) {
  // Boxes follow each other: size (4 bytes, big endian), type (4), and for a size of 1 the size in 8 bytes more.
  constexpr std::array kFirst = {"ftyp"sv, "wide"sv, "mdat"sv, "free"sv, "skip"sv, "moov"sv};
  constexpr int kMaxBoxes = 1'000'000;
  Mp4Boxes boxes;
  std::uint64_t offset = 0;
  for (int i = 0; i < kMaxBoxes && offset < file.bytes(); ++i) {
    std::array<std::byte, 16> head = {};
    const auto got = file.read_at(offset, head);
    if (!got || *got < 8) return boxes;
    const std::string type(reinterpret_cast<const char*>(head.data()) + 4, 4);
    if (i == 0) boxes.is_mp4 = std::find(kFirst.begin(), kFirst.end(), type) != kFirst.end();
    if (!boxes.is_mp4) return boxes;
    const std::uint64_t rest = file.bytes() - offset;
    std::uint64_t size = big_endian(head, 0, 4);
    if (size == 1 && *got == head.size()) size = big_endian(head, 8, 8);
    if (size == 0) size = rest;  // the last box, up to the end of the file
    if (size < 8 || size > rest) return boxes;
    boxes.has_index = boxes.has_index || type == "moov";
    offset += size;
  }
  boxes.is_whole = true;
  return boxes;
}

}  // namespace escribano::recording
