#include "base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t kLimit = 1 << 20;

class LogFile : public testing::Test {
 protected:
  void TearDown() override { log::init("VLM", log::Level::warn); }

  // What comes to standard error while `work` runs.
  template <class Work>
  static std::string stderr_of(Work work) {
    testing::internal::CaptureStderr();
    work();
    return testing::internal::GetCapturedStderr();
  }
};

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_F(LogFile, LinesHaveTheSameFormInTheFileAndOnStandardError) {
  const TempFolder folder;
  const auto line = [] { log::info("loaded {}", "x"); };
  const std::string shown = stderr_of([&] {
    log::init("MLX", log::Level::info);
    line();
  });
  const std::string nothing = stderr_of([&] {
    log::init("MLX", log::Level::info, log::FileTarget{folder.path() / "bridge.log"});
    line();
    log::debug("hidden");
  });
  const auto written = read_text_file(folder.path() / "bridge.log", kLimit);
  constexpr char kForm[] = "^[0-9-]+ [0-9:]+\\.[0-9][0-9][0-9] info \\[MLX\\] loaded x\n$";
  EXPECT_THAT(shown, ContainsRegex(kForm));
  ASSERT_TRUE(written);
  EXPECT_THAT(*written, ContainsRegex(kForm));
  EXPECT_EQ(nothing, "");
}

TEST_F(LogFile, IsAppendedTo) {
  const TempFolder folder;
  const auto path = folder.path() / "bridge.log";
  for (const char* text : {"first", "second"}) {
    log::init("MLX", log::Level::info, log::FileTarget{path});
    log::info("{}", text);
  }
  EXPECT_THAT(read_text_file(path, kLimit).value(), testing::AllOf(HasSubstr("first"), HasSubstr("second")));
}

TEST_F(LogFile, OneOlderFileIsKeptAndNeitherIsLongerThanAllowed) {
  const TempFolder folder;
  log::init("MLX", log::Level::info, log::FileTarget{folder.path() / "bridge.log", 1000});
  for (int i = 0; i < 200; ++i) log::info("line {}", i);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
  for (const char* name : {"bridge.log", "bridge.1.log"}) {
    const auto text = read_text_file(folder.path() / name, kLimit);
    ASSERT_TRUE(text) << name;
    EXPECT_LE(text->size(), 1000u);
    EXPECT_EQ(text->back(), '\n');
  }
  EXPECT_THAT(read_text_file(folder.path() / "bridge.log", kLimit).value(), HasSubstr("line 199\n"));
}

TEST_F(LogFile, AFullDiskCostsOneWarningAndNoLine) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "there is no /dev/full";
  const std::string text = stderr_of([] {
    log::init("MLX", log::Level::info, log::FileTarget{"/dev/full"});
    for (int i = 0; i < 3; ++i) log::info("line {}", i);
  });
  EXPECT_EQ(count(text, "warning [MLX]"), 1u) << text;
  EXPECT_THAT(text, HasSubstr("/dev/full"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(count(text, "info [MLX] line " + std::to_string(i) + "\n"), 1u) << text;
}

TEST_F(LogFile, AFolderThatCannotBeWrittenCostsOneWarningAndNoLine) {
  const TempFolder folder;
  const auto inside = folder.path() / "closed";
  std::filesystem::create_directory(inside);
  std::filesystem::path target = inside / "bridge.log";
  if (::geteuid() == 0) {
    target = "/proc/escribano/bridge.log";  // permissions do not stop this user
  } else {
    std::filesystem::permissions(inside, std::filesystem::perms::owner_read);
  }
  const std::string text = stderr_of([&] {
    log::init("MLX", log::Level::info, log::FileTarget{target});
    log::info("line");
  });
  std::filesystem::permissions(inside, std::filesystem::perms::owner_all);
  EXPECT_EQ(count(text, "warning [MLX]"), 1u) << text;
  EXPECT_EQ(count(text, "info [MLX] line\n"), 1u) << text;
}

TEST_F(LogFile, AFileThatIsNoFileCostsOneWarningAndNoLine) {
  const TempFolder folder;
  const std::string text = stderr_of([&] {
    log::init("MLX", log::Level::info, log::FileTarget{folder.path()});
    log::info("line");
  });
  EXPECT_EQ(count(text, "warning [MLX]"), 1u) << text;
  EXPECT_EQ(count(text, "info [MLX] line\n"), 1u) << text;
  EXPECT_THAT(text, Not(HasSubstr("LOG ERROR")));
}

}  // namespace
}  // namespace escribano
