#include "base/file_lock.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano {
namespace {

TEST(FileLock, IsHeldByOneAndRemovedAfterwards) {
  const TempFolder folder;
  const auto path = folder.path() / "lock";
  {
    const auto first = FileLock::try_lock(path);
    ASSERT_TRUE(first);
    ASSERT_TRUE(*first);
    const auto second = FileLock::try_lock(path);
    ASSERT_TRUE(second);
    EXPECT_FALSE(*second);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const auto again = FileLock::try_lock(path);
  ASSERT_TRUE(again);
  EXPECT_TRUE(*again);
}

TEST(FileLock, AFileThatAKilledProcessLeftIsTakenOver) {
  const TempFolder folder;
  const auto path = folder.path() / "lock";
  ASSERT_TRUE(write_file_atomically(path, ""));
  const auto lock = FileLock::try_lock(path);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(*lock);
}

TEST(FileLock, SaysWhyItCannotBe) {
  const auto lock = FileLock::try_lock("/nonexistent/lock");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, Errc::not_found);
}

TEST(FileLock, NeverTwoAtOnceThoughTheFileComesAndGoes) {
  const TempFolder folder;
  const auto path = folder.path() / "lock";
  std::atomic<int> inside = 0;
  std::atomic<bool> overlapped = false;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int taken = 0; taken < 200;) {
        const auto lock = FileLock::try_lock(path);
        if (!lock || !*lock) continue;
        if (++inside != 1) overlapped = true;
        --inside;
        ++taken;
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(overlapped);
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace escribano
