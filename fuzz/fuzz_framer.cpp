// What a bridge does with the bytes of a client: cut them into lines, read the lines as requests. The first byte says how
// long a line may be and how the bytes are cut into reads.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "protocol/json_document.h"
#include "protocol/line_framer.h"
#include "protocol/request.h"

namespace {

using namespace escribano;
using namespace escribano::protocol;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

struct Lines {
  std::vector<std::string> lines;
  bool failed = false;

  bool operator==(const Lines&) const = default;
};

// All lines of the bytes, read in parts of `step` bytes.
Lines lines_of(std::string_view bytes, std::size_t max_line_bytes, std::size_t step) {
  Lines out;
  LineFramer framer(max_line_bytes);
  while (!bytes.empty() && !out.failed) {
    framer.append(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    while (true) {
      const auto line = framer.next();
      out.failed = !line.has_value();
      if (!line || !*line) break;
      out.lines.emplace_back(**line);
    }
  }
  return out;
}

// Another parser's opinion, where the two are meant to agree: it takes a zero byte for the end, and ignores a byte order
// mark; it refuses half a surrogate pair and numbers beyond a double.
void require_same_as_other_parser(const std::string& line) {
  if (line.find('\0') != std::string::npos || line.starts_with("\xEF")) return;
  const JsonDocument document(line);
  if (!document.status() && document.status().error().code == Errc::too_large) return;
  const bool accepted = nlohmann::json::accept(line);
  if (accepted) require(document.status().has_value(), "JSON is read");
  if (document.status() && !accepted) {
    require(line.find("\\u") != std::string::npos || line.find_first_of("eE") != std::string::npos || line.size() > 300,
            "what is not JSON is refused");
  }
}

void require_sound(const std::string& line) {
  const auto request = decode_request(line);
  if (!request) {
    const BadRequest& bad = request.error();
    require(nlohmann::json::accept(bad.id) || bad.id.find_first_of("eE") != std::string::npos || bad.id.size() > 300,
            "an id is JSON");
    require(!bad.error.message.empty() && is_valid_utf8(bad.error.message), "a message is text");
    require(bad.error.message.size() < 500, "a message is short");
    return;
  }
  const std::string again = encode(*request);
  require(again.ends_with('\n') && again.find('\n') == again.size() - 1, "a request is one line");
  const Result<std::string> checked = encode_checked(*request);
  require(checked && *checked == again, "what was read can be sent, and is the same when read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t max_line_bytes = (data[0] & 1) != 0 ? 40 : kMaxLineBytes;
  const std::size_t step = 1 + data[0] / 2U;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Lines lines = lines_of(bytes, max_line_bytes, std::max<std::size_t>(1, bytes.size()));
  require(lines_of(bytes, max_line_bytes, step) == lines, "how bytes are cut into reads makes no difference");
  for (const std::string& line : lines.lines) {
    require(!line.empty() && line.size() <= max_line_bytes, "lines are neither empty nor too long");
    require_same_as_other_parser(line);
    require_sound(line);
  }
  return 0;
}
