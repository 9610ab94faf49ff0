#include "cli/memory.h"

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMiB = 1U << 20;

class ReadMemory : public testing::Test {
 protected:
  ReadMemory() {
    write("proc/meminfo", "MemTotal:  8388608 kB\nMemFree:  100 kB\nMemAvailable:  4194304 kB\n");
    write("proc/self/statm", "1000 1 1 1 0 1 0\n");
  }
  void write(const fs::path& path, const std::string& text) {
    fs::create_directories((folder.path() / path).parent_path());
    std::ofstream(folder.path() / path) << text;
  }
  void group(const std::string& folder_name, std::uint64_t limit_mib, std::uint64_t used_mib,
             std::uint64_t inactive_mib) {
    write(folder_name + "/memory.max", std::to_string(limit_mib * kMiB));
    write(folder_name + "/memory.current", std::to_string(used_mib * kMiB));
    write(folder_name + "/memory.stat", "anon 5\ninactive_file " + std::to_string(inactive_mib * kMiB) + "\n");
  }
  Memory read() const {
    return read_memory({.proc = folder.path() / "proc", .cgroup = folder.path() / "cgroup"}).value_or(Memory{});
  }
  TempFolder folder;
};

TEST_F(ReadMemory, IsThatOfTheMachineWithoutGroups) {
  EXPECT_EQ(read().total_bytes, 8192 * kMiB);
  EXPECT_EQ(read().usable_bytes(), 4096 * kMiB);
}

TEST_F(ReadMemory, KeepsToTheTightestGroupOnTheWayDown) {
  write("proc/self/cgroup", "0::/user.slice/session\n");
  write("cgroup/user.slice/memory.max", "max\n");
  group("cgroup/user.slice/session", 1024, 700, 200);
  EXPECT_EQ(read().total_bytes, 1024 * kMiB);
  EXPECT_EQ(read().usable_bytes(), 524 * kMiB);
  group("cgroup/user.slice", 2048, 2000, 0);
  EXPECT_EQ(read().usable_bytes(), 48 * kMiB);
}

TEST_F(ReadMemory, SeesTheGroupOfAContainerAtItsRoot) {
  write("proc/self/cgroup", "0::/../../docker/0123\n");
  group("cgroup", 512, 600, 0);
  EXPECT_EQ(read().total_bytes, 512 * kMiB);
  EXPECT_EQ(read().usable_bytes(), 0);
}

TEST_F(ReadMemory, UnderstandsTheFirstVersionOfGroups) {
  write("proc/self/cgroup", "3:cpu,cpuacct:/a\n9:memory:/a\nnonsense\n0::/\n");
  write("cgroup/memory/a/memory.limit_in_bytes", std::to_string(3000 * kMiB));
  write("cgroup/memory/a/memory.usage_in_bytes", std::to_string(1000 * kMiB));
  write("cgroup/memory/a/memory.stat", "total_inactive_file " + std::to_string(500 * kMiB) + "\n");
  EXPECT_EQ(read().usable_bytes(), 2500 * kMiB);
}

TEST_F(ReadMemory, DoesWithoutFiles) {
  fs::remove_all(folder.path() / "proc");
  EXPECT_GT(read().total_bytes, 64 * kMiB);
}

TEST(EngineMemory, IsNoMoreThanTheLimit) {
  EXPECT_EQ(engine_memory(1), kMiB);
  EXPECT_LE(engine_memory(1 << 24).value_or(0), std::uint64_t{1} << 44);
}

}  // namespace
}  // namespace escribano::cli
