// write_reference FOLDER DATE: the manual page and the completions of the program. For its build only; it is not installed.

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/app.h"
#include "cli/completions.h"
#include "cli/man_page.h"

namespace escribano::cli {
namespace {

Status write_reference(const std::filesystem::path& folder, std::string date) {
  ExitCode unused = ExitCode::done;
  // Not that of whoever builds: it would be taken for the defaults.
  const Environment environment = [](std::string_view) { return std::nullopt; };
  const CommandEntry program = command_tree(*make_app(environment, unused));
  const ManPageFacts facts = {.version = ESCRIBANO_VERSION, .date = std::move(date), .settings = Settings().rows()};
  ESCRIBANO_CHECK(write_file_atomically(folder / "escribano.1", man_page(program, facts)));
  ESCRIBANO_CHECK(write_file_atomically(folder / "escribano.bash", bash_completion(program)));
  ESCRIBANO_CHECK(write_file_atomically(folder / "_escribano", zsh_completion(program)));
  return write_file_atomically(folder / "escribano.fish", fish_completion(program));
}

}  // namespace
}  // namespace escribano::cli

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const escribano::Status written = escribano::cli::write_reference(argv[1], argv[2]);
  if (!written) fmt::print(stderr, "write_reference: {}\n", written.error().message);
  return written ? 0 : 1;
}
