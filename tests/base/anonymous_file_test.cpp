#include "base/anonymous_file.h"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "base/file.h"

namespace escribano {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(AnonymousFile, IsReadByItsPathAsLongAsItLives) {
  std::optional<Result<AnonymousFile>> file(AnonymousFile::create("frame.png", bytes("pixels")));
  ASSERT_TRUE(*file) << file->error().message;
  const std::filesystem::path path = (*file)->path();
  EXPECT_EQ(read_text_file(path, 100).value(), "pixels");
  EXPECT_EQ(read_text_file(path, 100).value(), "pixels") << "reading it twice gives the same";
  file.reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(AnonymousFile, MovesWithItsPath) {
  Result<AnonymousFile> first = AnonymousFile::create("a", bytes("first"));
  ASSERT_TRUE(first);
  AnonymousFile moved = *std::move(first);
  EXPECT_EQ(read_text_file(moved.path(), 100).value(), "first");
  Result<AnonymousFile> second = AnonymousFile::create("b", bytes("second"));
  ASSERT_TRUE(second);
  moved = *std::move(second);
  EXPECT_EQ(read_text_file(moved.path(), 100).value(), "second");
}

TEST(AnonymousFile, AnotherProcessReadsIt) {
  const Result<AnonymousFile> file = AnonymousFile::create("a", bytes("pixels"));
  ASSERT_TRUE(file);
  EXPECT_EQ(std::system(("grep -q '^pixels$' " + file->path().string()).c_str()), 0);
}

}  // namespace
}  // namespace escribano
