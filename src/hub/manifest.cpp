#include "hub/manifest.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace escribano::hub {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxManifestBytes = 4U << 20;

}  // namespace

std::string to_text(const Manifest& manifest) {
  json files = json::array();
  for (const PullFile& file : manifest.files) {
    json entry = {{"name", file.name},
                  {"path", file.remote.path},
                  {"size_bytes", file.remote.size},
                  {"sha256", file.remote.sha256}};
    if (!file.remote.git_sha1.empty()) entry["git_sha1"] = file.remote.git_sha1;
    files.push_back(std::move(entry));
  }
  return json{{"repository", manifest.name.repository},
              {"revision", manifest.name.revision},
              {"quant", manifest.name.quant},
              {"commit", manifest.commit},
              {"files", std::move(files)}}
             .dump(1) +
         "\n";
}

Result<Manifest> parse_manifest(std::string_view text) {
  try {
    const json document = json::parse(text);
    Manifest manifest;
    manifest.name = {
        .repository = document.at("repository"), .revision = document.at("revision"), .quant = document.at("quant")};
    manifest.commit = document.at("commit");
    for (const json& entry : document.at("files")) {
      PullFile file;
      file.name = entry.at("name");
      ESCRIBANO_CHECK(check_file_name(file.name));
      file.remote = {.path = entry.at("path"),
                     .size = entry.at("size_bytes"),
                     .sha256 = entry.at("sha256"),
                     .git_sha1 = entry.value("git_sha1", "")};
      manifest.files.push_back(std::move(file));
    }
    return manifest;
  } catch (const json::exception& error) {
    return fail(Errc::corrupt, "{} is not as this program writes it: {}", kManifestName, error.what());
  }
}

std::optional<Manifest> read_manifest(const std::filesystem::path& folder) {
  const auto text = read_text_file(folder / kManifestName, kMaxManifestBytes);
  if (!text) return std::nullopt;
  auto manifest = parse_manifest(*text);
  if (!manifest) return std::nullopt;
  return *std::move(manifest);
}

}  // namespace escribano::hub
