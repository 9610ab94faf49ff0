#include "hub/listing.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/utf8.h"

namespace escribano::hub {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxNameBytes = 200;  // room for what is appended to it beside it

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string shown(std::string_view text) {
  std::string copy(text.substr(0, 120));
  std::ranges::replace_if(
      copy, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return to_valid_utf8(copy);
}

// The member as text, or an empty one.
std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<RemoteFile> parse_file(const json& entry) {
  RemoteFile file;
  file.path = text_of(entry, "path");
  ESCRIBANO_CHECK(check_path(file.path));
  const auto lfs = entry.find("lfs");
  const bool is_lfs = lfs != entry.end() && lfs->is_object();
  const json& sized = is_lfs && lfs->contains("size") ? *lfs : entry;
  const auto size = sized.find("size");
  if (size == sized.end() || !size->is_number_unsigned()) {
    return fail(Errc::protocol_error, "the hub's listing gives no size for {}", shown(file.path));
  }
  file.size = size->get<std::uint64_t>();
  if (file.size > kMaxFileBytes) {
    return fail(Errc::too_large, "{} is said to have {} bytes, more than any file of a model", shown(file.path),
                file.size);
  }
  std::string& hash = is_lfs ? file.sha256 : file.git_sha1;
  hash = text_of(is_lfs ? *lfs : entry, "oid");
  if (hash.size() != (is_lfs ? 64U : 40U) || !is_hex(hash)) {
    return fail(Errc::protocol_error, "the hub's listing gives no usable hash for {}", shown(file.path));
  }
  return file;
}

}  // namespace

Result<std::string> parse_commit(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  std::string commit = document.is_object() ? text_of(document, "sha") : std::string();
  if (commit.size() < 40 || commit.size() > 64 || !is_hex(commit)) {
    return fail(Errc::protocol_error, "the hub's answer about the revision names no commit");
  }
  return commit;
}

Status append_listing(std::string_view text, std::vector<RemoteFile>& files) {
  const json document = json::parse(text, nullptr, false);
  if (!document.is_array()) return fail(Errc::protocol_error, "the hub's listing of files is no JSON array");
  for (const json& entry : document) {
    if (!entry.is_object()) return fail(Errc::protocol_error, "the hub's listing has an entry that is no object");
    if (text_of(entry, "type") != "file") {
      ESCRIBANO_CHECK(check_path(text_of(entry, "path")));
      continue;
    }
    if (files.size() >= kMaxListedFiles) {
      return fail(Errc::too_large, "the hub lists more than {} files", kMaxListedFiles);
    }
    ESCRIBANO_TRY(RemoteFile file, parse_file(entry));
    files.push_back(std::move(file));
  }
  return {};
}

std::string next_link(std::string_view header) {
  // <https://hub/api?cursor=x>; rel="next", <...>; rel="last"
  while (!header.empty()) {
    const std::size_t begin = header.find('<');
    const std::size_t end = header.find('>', begin == std::string_view::npos ? header.size() : begin);
    if (end == std::string_view::npos) return {};
    const std::string_view url = header.substr(begin + 1, end - begin - 1);
    header.remove_prefix(end + 1);
    const std::string_view attributes = header.substr(0, header.find('<'));
    if (attributes.find("rel=\"next\"") != std::string_view::npos ||
        attributes.find("rel=next") != std::string_view::npos) {
      return std::string(url);
    }
  }
  return {};
}

Status check_path(std::string_view path) {
  const auto refuse = [&](std::string_view reason) {
    return fail(Errc::protocol_error, "the hub lists a file named \"{}\", which {}; nothing was written", shown(path),
                reason);
  };
  if (path.empty()) return refuse("is no name");
  if (path.size() > kMaxPathBytes) return refuse("is too long");
  if (path.front() == '/') return refuse("is an absolute path");
  if (!is_valid_utf8(path)) return refuse("is not UTF-8");
  if (std::ranges::any_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return refuse("has a control character in it");
  }
  if (path.find('\\') != std::string_view::npos) return refuse("has a backslash in it");
  for (std::string_view rest = path;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty()) return refuse("has an empty part");
    if (part == "." || part == "..") return refuse("leads out of its folder");
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

Status check_file_name(std::string_view name) {
  const auto refuse = [&](std::string_view reason) {
    return fail(Errc::protocol_error, "the hub lists a file named \"{}\", which {}; nothing was written", shown(name),
                reason);
  };
  ESCRIBANO_CHECK(check_path(name));
  if (name.find('/') != std::string_view::npos) return refuse("is a path");
  if (name.size() > kMaxNameBytes) return refuse("is too long");
  if (name.find(':') != std::string_view::npos) return refuse("has a colon in it");
  if (name.front() == '.' || name.front() == '-') return refuse("begins like a hidden file or an option");
  if (name.back() == '.' || name.back() == ' ') return refuse("ends in a dot or a space");
  // Windows and what is mounted from it take these for devices, whatever comes after the first dot.
  std::string stem(name.substr(0, name.find('.')));
  std::ranges::transform(stem, stem.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::array<std::string_view, 4> kDevices = {"CON", "PRN", "AUX", "NUL"};
  const bool numbered =
      stem.size() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")) && stem[3] >= '0' && stem[3] <= '9';
  if (numbered || std::ranges::find(kDevices, stem) != kDevices.end()) return refuse("is the name of a device");
  return {};
}

}  // namespace escribano::hub
