#include "cli/report_files.h"

#include <system_error>

#include "base/file.h"
#include "cli/library.h"

namespace escribano::cli {

std::filesystem::path default_report_path(const Settings& settings, const RecordingInfo& info) {
  std::filesystem::path name = info.path.stem();
  name += "-" + short_id(info.id) + ".html";
  return settings.home / "reports" / name;
}

Status write_report_file(const std::filesystem::path& path, std::string_view content) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code error;
  const bool created = std::filesystem::create_directories(folder, error);
  if (error) return fail(Errc::io_error, "{}: cannot be created: {}", printable(folder), error.message());
  // A page shows what was on a screen: nobody else's business, unless it is put where others look.
  if (created) std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);
  return write_file_atomically(path, content);
}

}  // namespace escribano::cli
