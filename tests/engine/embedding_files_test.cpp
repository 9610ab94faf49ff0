// Vision embeddings on the disk: what comes back, what is refused, and how large the folder becomes.
#include "engine/core/embedding_files.h"

#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "engine/core/embedding_cache.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

constexpr std::uint64_t kHeaderBytes = 72;

ImageEmbedding embedding(int tokens, int seed = 0) {
  ImageEmbedding made = {.tokens = tokens, .width = 3, .columns = tokens, .rows = 1, .positions = tokens};
  for (int i = 0; i < tokens * made.width; ++i) made.values.push_back(static_cast<float>(i + seed) / 7);
  return made;
}

bool same(const ImageEmbedding& a, const ImageEmbedding& b) {
  return a.tokens == b.tokens && a.width == b.width && a.columns == b.columns && a.rows == b.rows &&
         a.positions == b.positions && a.values.size() == b.values.size() &&
         std::memcmp(a.values.data(), b.values.data(), a.size_bytes()) == 0;
}

class EmbeddingFilesTest : public ::testing::Test {
 protected:
  EmbeddingFolder folder(std::uint64_t limit_bytes = 1 << 20, const std::string& identity = "model") const {
    return {.path = temp.path() / "cache" / "embeddings", .identity = identity, .limit_bytes = limit_bytes};
  }
  std::size_t file_count() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder().path)) ++count;
    return count;
  }
  static void set_age(const std::filesystem::path& path, std::chrono::hours age) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - age);
  }

  TempFolder temp;
};

TEST_F(EmbeddingFilesTest, AnotherProcessReadsTheSameBits) {
  ImageEmbedding written = embedding(40);
  written.values[0] = -0.0F;
  written.values[1] = 1e-42F;  // no normal number
  EmbeddingFiles(folder()).write({1, 2}, written);
  const EmbeddingFiles files(folder());
  const auto read = files.read({1, 2});
  ASSERT_NE(read, nullptr);
  EXPECT_TRUE(same(*read, written));
  EXPECT_EQ(files.read({1, 3}), nullptr);
  EXPECT_EQ(files.read({2, 2}), nullptr);
}

TEST_F(EmbeddingFilesTest, OnlyTheOwnerCanRead) {
  EmbeddingFiles files(folder());
  files.write({1, 2}, embedding(4));
  struct stat about = {};
  ASSERT_EQ(::stat(files.file_of({1, 2}).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(folder().path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);
}

TEST_F(EmbeddingFilesTest, AnotherModelDoesNotSeeThem) {
  EmbeddingFiles files(folder());
  files.write({1, 2}, embedding(4));
  const EmbeddingFiles other(folder(1 << 20, "another"));
  EXPECT_EQ(other.read({1, 2}), nullptr);
  // Not even under its name.
  std::filesystem::copy_file(files.file_of({1, 2}), other.file_of({1, 2}));
  EXPECT_EQ(other.read({1, 2}), nullptr);
  EXPECT_NE(files.read({1, 2}), nullptr);
}

TEST_F(EmbeddingFilesTest, AnyByteThatIsWrongOrMissingIsNoticedAndTheFileRemoved) {
  EmbeddingFiles files(folder());
  const std::filesystem::path path = files.file_of({1, 2});
  files.write({1, 2}, embedding(4));
  const std::string whole = read_text_file(path, 1 << 20).value();
  ASSERT_EQ(whole.size(), kHeaderBytes + 4 * 3 * sizeof(float));
  const auto is_refused = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    const bool refused = files.read({1, 2}) == nullptr;
    EXPECT_EQ(std::filesystem::exists(path), !refused);
    return refused;
  };
  for (std::size_t i = 0; i < whole.size(); i += 5) {  // part of every field
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    EXPECT_TRUE(is_refused(damaged)) << "byte " << i;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{kHeaderBytes}, whole.size() - 1}) {
    EXPECT_TRUE(is_refused(whole.substr(0, size))) << "cut off at " << size;
  }
  EXPECT_TRUE(is_refused(whole + "x"));
  EXPECT_TRUE(
      is_refused("no embedding at all, but a text that is longer than a header would be, by some letters more"));
  EXPECT_FALSE(is_refused(whole));
}

TEST_F(EmbeddingFilesTest, AHeaderThatPromisesMoreThanThereIsAllocatesNothing) {
  EmbeddingFiles files(folder());
  files.write({1, 2}, embedding(4));
  std::fstream file(files.file_of({1, 2}), std::ios::binary | std::ios::in | std::ios::out);
  const std::int32_t huge[2] = {1 << 20, 1 << 20};  // 4 TiB
  file.seekp(40);
  file.write(reinterpret_cast<const char*>(huge), sizeof(huge));
  file.close();
  EXPECT_EQ(files.read({1, 2}), nullptr);
}

TEST_F(EmbeddingFilesTest, WhatIsNoRegularFileIsNotRead) {
  EmbeddingFiles files(folder());
  std::filesystem::create_directories(folder().path);
  ASSERT_EQ(::mkfifo(files.file_of({1, 1}).c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", files.file_of({1, 2}));
  EXPECT_EQ(files.read({1, 1}), nullptr);
  EXPECT_EQ(files.read({1, 2}), nullptr);
  EXPECT_TRUE(std::filesystem::exists("/dev/zero"));
}

TEST_F(EmbeddingFilesTest, WhatWasNotUsedForTheLongestTimeGoesFirst) {
  const std::uint64_t size = kHeaderBytes + embedding(100).size_bytes();
  EmbeddingFiles files(folder(4 * size));
  for (std::uint64_t i = 0; i < 4; ++i) {
    files.write({0, i}, embedding(100));
    set_age(files.file_of({0, i}), std::chrono::hours(10 - i));
  }
  ASSERT_NE(files.read({0, 0}), nullptr);  // used now
  files.write({0, 4}, embedding(100));
  EXPECT_EQ(files.read({0, 1}), nullptr);
  EXPECT_EQ(files.read({0, 2}), nullptr);  // down to nine tenths
  EXPECT_NE(files.read({0, 0}), nullptr);
  EXPECT_NE(files.read({0, 3}), nullptr);
  EXPECT_NE(files.read({0, 4}), nullptr);
}

TEST_F(EmbeddingFilesTest, WhatIsLargerThanTheFolderMayBecomeIsNotWritten) {
  EmbeddingFiles files(folder(100));
  files.write({0, 1}, embedding(100));
  EXPECT_EQ(files.read({0, 1}), nullptr);
}

TEST_F(EmbeddingFilesTest, RemainsOfAKilledProcessGoAfterAWhileAndFilesOfOthersStay) {
  std::filesystem::create_directories(folder().path);
  for (const char* name : {"old.tmp", "new.tmp", "other.txt"}) std::ofstream(folder().path / name) << "x";
  set_age(folder().path / "old.tmp", std::chrono::hours(2));
  set_age(folder().path / "other.txt", std::chrono::hours(2));
  EmbeddingFiles files(folder());
  files.write({0, 1}, embedding(4));
  EXPECT_FALSE(std::filesystem::exists(folder().path / "old.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder().path / "new.tmp"));
  EXPECT_TRUE(std::filesystem::exists(folder().path / "other.txt"));
}

TEST_F(EmbeddingFilesTest, WhereNothingCanBeWrittenNothingIsKeptAndNothingFails) {
  std::ofstream(temp.path() / "cache") << "a file where the folder should be";
  EmbeddingFiles files(folder());
  files.write({0, 1}, embedding(4));
  files.write({0, 2}, embedding(4));
  EXPECT_EQ(files.read({0, 1}), nullptr);
}

TEST_F(EmbeddingFilesTest, SeveralWritersAndReadersShareAFolder) {
  constexpr int kKeys = 12;
  const std::uint64_t size = kHeaderBytes + embedding(200).size_bytes();
  std::vector<std::jthread> processes;
  for (int p = 0; p < 4; ++p) {
    processes.emplace_back([&, p] {
      EmbeddingFiles files(folder(6 * size));  // too small for all: they remove each other's files
      for (int round = 0; round < 40; ++round) {
        const int key = (round * 5 + p) % kKeys;
        files.write({0, static_cast<std::uint64_t>(key)}, embedding(200, key));
        const int other = (round * 7 + p) % kKeys;
        const auto read = files.read({0, static_cast<std::uint64_t>(other)});
        EXPECT_TRUE(!read || same(*read, embedding(200, other)));
      }
    });
  }
  processes.clear();
  EXPECT_LE(file_count(), 7u);
}

TEST_F(EmbeddingFilesTest, ACacheWritesBehindAndTheNextOneFindsIt) {
  const auto value = std::make_shared<const ImageEmbedding>(embedding(10));
  {
    EmbeddingCache cache(1000, folder());
    cache.insert({1, 2}, value);
    EXPECT_EQ(cache.load({1, 2}), value);  // from memory
  }
  EmbeddingCache next(1000, folder());
  EXPECT_EQ(next.find({1, 2}), nullptr);
  const auto read = next.load({1, 2});
  ASSERT_NE(read, nullptr);
  EXPECT_TRUE(same(*read, *value));
  EXPECT_EQ(next.find({1, 2}), read);
  EXPECT_EQ(next.size_bytes(), value->size_bytes());
}

}  // namespace
}  // namespace escribano::engine
