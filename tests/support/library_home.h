#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {

// An ESCRIBANO_HOME of a test's own, with the demo model that the other tests imported, in a folder that also takes the socket
// and whatever the test makes.
class LibraryHome {
 public:
  LibraryHome();

  const std::filesystem::path& folder() const { return folder_.path(); }
  std::filesystem::path home() const { return folder() / "home"; }
  std::filesystem::path database() const { return home() / "escribano.db"; }

  CommandOptions options() const;
  // `escribano` with these arguments.
  CommandResult run(std::vector<std::string> arguments, CommandOptions options) const;
  CommandResult run(std::vector<std::string> arguments) const { return run(std::move(arguments), options()); }
  // `escribano process` with the demo model and one compute thread.
  CommandResult process(std::vector<std::string> arguments) const {
    return run(process_arguments(std::move(arguments)));
  }
  static std::vector<std::string> process_arguments(std::vector<std::string> arguments);

 private:
  TempFolder folder_;
};

// assets/samples/session-a.mp4
std::filesystem::path sample_recording();
// The first `seconds` of it, without encoding it again.
std::filesystem::path cut_recording(const std::filesystem::path& folder, int seconds);
// The same a quarter as wide and high, where only that frames differ matters: a model is quick with them.
std::filesystem::path small_recording(const std::filesystem::path& folder, int seconds);

}  // namespace escribano
