#include "base/file.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano {
namespace {

TEST(ReadFile, MissingFileIsNotFoundAndNamed) {
  const auto result = read_file("/nonexistent/frame.png", 10);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::not_found);
  EXPECT_NE(result.error().message.find("/nonexistent/frame.png"), std::string::npos);
}

TEST(ReadFile, DirectoryIsRefusedByName) {
  const TempFolder folder;
  const auto result = read_file(folder.path(), 10);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::unsupported);
}

TEST(ReadFile, LimitIsCheckedBeforeReading) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "f", "12345"));
  EXPECT_EQ(read_file(folder.path() / "f", 4).error().code, Errc::too_large);
  EXPECT_EQ(read_text_file(folder.path() / "f", 5).value(), "12345");
}

TEST(WriteFileAtomically, LeavesNoTemporaryFileBehind) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "f", "old"));
  ASSERT_TRUE(write_file_atomically(folder.path() / "f", "new"));
  EXPECT_EQ(read_text_file(folder.path() / "f", 10).value(), "new");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(MappedFile, ShowsTheBytesAndSurvivesAMove) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "f", "abc"));
  auto mapped = MappedFile::open(folder.path() / "f");
  ASSERT_TRUE(mapped);
  const MappedFile moved = *std::move(mapped);
  ASSERT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(moved.bytes()[1], std::byte{'b'});
}

TEST(Printable, NeverYieldsInvalidUtf8) { EXPECT_EQ(printable("a\xFF.png"), "a\xEF\xBF\xBD.png"); }

}  // namespace
}  // namespace escribano
