// What a client does with the bytes of a bridge: read a line as an answer, or as the announcement of a bridge.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/utf8.h"
#include "protocol/answer.h"
#include "protocol/frame_result.h"

namespace {

using namespace escribano;
using namespace escribano::protocol;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::string_view without_end(const std::string& line) {
  require(line.ends_with('\n') && line.find('\n') == line.size() - 1, "what is written is one line");
  require(line.find_first_not_of("\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
                                 "abcdefghijklmnopqrstuvwxyz{|}~\x7F") == std::string::npos,
          "what is written is ASCII");
  return std::string_view(line).substr(0, line.size() - 1);
}

void check_answer(std::string_view line) {
  const Result<DecodedAnswer> decoded = decode_answer(line);
  if (!decoded) {
    const Error& error = decoded.error();
    require(error.code == Errc::protocol_error || error.code == Errc::too_large, "no other failure is named");
    require(is_valid_utf8(error.message) && error.message.size() < 500, "a message is short text");
    return;
  }
  require(decoded->done || !decoded->answer.last(), "a last answer ends the request");
  const std::string written = encode(decoded->answer);
  const Result<DecodedAnswer> again = decode_answer(without_end(written));
  require(again.has_value(), "what was written is read");
  require(again->answer.id == decoded->answer.id, "an id stays as it is");
  require(encode(again->answer) == written, "and written again as it is");
  if (const auto* batch = std::get_if<BatchAnswer>(&decoded->answer.body)) {
    for (const FrameResult& result : batch->results) {
      const auto frame = decode_frame_result(encode(result));
      require(frame && frame->description == result.description && frame->apps == result.apps, "so are frames");
    }
  }
}

void check_announcement(std::string_view line) {
  const std::optional<Announcement> announcement = decode_announcement(line);
  if (!announcement) return;
  const std::string written = encode(*announcement);
  const std::optional<Announcement> again = decode_announcement(without_end(written));
  require(again && encode(*again) == written, "an announcement is read again");
  require(again->fatal == announcement->fatal, "with its error");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  check_answer(line);
  check_announcement(line);
  return 0;
}
