// What a hub may answer: whatever the bytes, no file of it lies outside the folder it is meant for, and no journal tells of more
// than a file has.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "hub/hub_name.h"
#include "hub/listing.h"
#include "hub/manifest.h"
#include "hub/segment_journal.h"
#include "hub/selection.h"

namespace {

using namespace escribano;
using namespace escribano::hub;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void require_inside(const std::string& name) {
  const std::filesystem::path folder = "/models/org/name";
  const std::filesystem::path path = (folder / name).lexically_normal();
  require(path.parent_path() == folder && path.filename() == name, "a file lies in its folder");
  require(is_valid_utf8(name) && name.find('\0') == std::string::npos, "a name is text");
}

void require_clear(const Error& error) {
  require(!error.message.empty() && error.message.size() < 4000 && is_valid_utf8(error.message),
          "a message is short text");
}

void try_listing(std::string_view bytes) {
  std::vector<RemoteFile> files;
  if (const Status status = append_listing(bytes, files); !status) require_clear(status.error());
  for (const char* quant : {"", "Q8_0"}) {
    const HubName name = {.repository = "org/name", .quant = quant};
    const auto selected = select_files(files, name);
    if (!selected) continue;
    std::set<std::string> names;
    for (const PullFile& file : *selected) {
      require_inside(file.name);
      require(names.insert(file.name).second, "a name is there once");
      require(!file.remote.sha256.empty() || !file.remote.git_sha1.empty(), "each file has a hash");
    }
    const Manifest manifest = {.name = name, .commit = std::string(40, '0'), .files = *selected};
    const auto again = parse_manifest(to_text(manifest));
    require(again && *again == manifest, "a manifest is read as it was written");
  }
}

void try_journal(std::string_view bytes) {
  const SegmentJournal::Content content = {.size = 10, .hash = "h", .segment_bytes = 4};
  bool checked = false;
  const auto segments = SegmentJournal::parse(bytes, content, &checked);
  if (!segments) return;
  std::uint64_t at = 0;
  for (const SegmentJournal::Segment& segment : *segments) {
    require(segment.begin == at && segment.done <= segment.length, "segments follow each other");
    at += segment.length;
  }
  require(at == content.size, "segments make the file");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try_listing(bytes);
  try_journal(bytes);
  static_cast<void>(next_link(bytes));
  if (const auto commit = parse_commit(bytes)) require_inside(*commit);
  if (const auto manifest = parse_manifest(bytes)) {
    for (const PullFile& file : manifest->files) require_inside(file.name);
  }
  if (const auto name = parse_hub_name(bytes))
    require(parse_hub_name(to_text(*name)).value() == *name, "a name is read as it was written");
  if (check_file_name(bytes)) require_inside(std::string(bytes));
  return 0;
}
