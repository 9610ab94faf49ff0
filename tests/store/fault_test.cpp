// What the machine does to a database: no room, no permission, another process, death.
#include <chrono>
#include <csignal>
#include <random>

#include <sys/resource.h>
#include <unistd.h>

#include "store/child_process.h"
#include "store/open_options.h"
#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr OpenOptions kImpatient = {.busy_timeout = std::chrono::milliseconds(50)};
constexpr std::size_t kFrames = 4'000;
constexpr std::size_t kBatch = 4;

class Fault : public StoreTest {
 protected:
  void add_frames(std::size_t count = kFrames) {
    std::vector<SampledFrame> frames;
    for (std::size_t i = 0; i < count; ++i) {
      frames.push_back(sampled_frame(static_cast<double>(i), "hash"));
      frames.back().thumbnail.clear();
    }
    add_sampled(id_, std::move(frames));
  }
  static std::vector<Observation> batch(std::size_t number, const std::string& filler = "") {
    std::vector<Observation> observations;
    for (std::size_t i = number * kBatch; i < (number + 1) * kBatch; ++i) {
      observations.push_back(described(i, static_cast<double>(i), fmt::format("batch{} {}", number, filler)));
    }
    return observations;
  }
  // How many batches are there, from the first on; every one whole.
  std::size_t whole_batches() {
    const auto observations = value_of(store().observations(id_));
    std::size_t count = 0;
    bool ended = false;
    for (std::size_t number = 0; (number + 1) * kBatch <= observations.size(); ++number) {
      std::size_t there = 0;
      for (std::size_t i = number * kBatch; i < (number + 1) * kBatch; ++i) {
        there += observations[i].description.starts_with(fmt::format("batch{} ", number)) ? 1 : 0;
      }
      EXPECT_TRUE(there == 0 || there == kBatch) << "half of batch " << number;
      ended = ended || there == 0;
      EXPECT_EQ(there == 0, ended) << "batch " << number << " after a missing one";
      count += there == 0 ? 0 : 1;
      if (there != 0) {
        EXPECT_EQ(value_of(store().search(fmt::format("batch{}", number), {})).size(), kBatch);
      }
    }
    return count;
  }
};

TEST_F(Fault, AFullDatabaseKeepsWhatItHasAndTakesMoreWhenThereIsRoom) {
  add_frames();
  close();
  const std::int64_t pages = std::stoll(RawDatabase(path()).run("PRAGMA page_count"));
  auto small = value_of(open_store(path(), {.max_pages = pages + 20}));
  std::size_t saved = 0;
  while (true) {
    ASSERT_LT(saved, 1'000U);
    const Status status = small->save_observations(id_, batch(saved, std::string(2'000, 'x')));
    if (!status) {
      EXPECT_EQ(status.error().code, Errc::io_error);
      EXPECT_THAT(status.error().message, AllOf(StartsWith(path().string()), HasSubstr("the disk is full")));
      break;
    }
    ++saved;
  }
  EXPECT_GT(saved, 0U);
  // Still readable, and as it was.
  EXPECT_EQ(value_of(small->recording(id_)).described, saved * kBatch);
  small.reset();
  EXPECT_EQ(whole_batches(), saved);
  succeed(store().save_observations(id_, batch(saved)));
  EXPECT_EQ(whole_batches(), saved + 1);
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Fault, AFileThatMayNotGrowIsAFullDisk) {
  add_frames();
  close();
  const auto work = [&](int output) {
    // What the operating system says then is what it says of a full disk, but for the signal.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlim_t bytes = std::filesystem::file_size(path()) + 200'000;
    const rlimit limit = {bytes, bytes};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    auto opened = open_store(path());
    if (!opened) return 3;
    for (std::size_t number = 0; number < 1'000; ++number) {
      const Status status = (*opened)->save_observations(id_, batch(number, std::string(2'000, 'x')));
      if (!status) {
        const std::string text =
            fmt::format("{} {} {}", number, errc_name(status.error().code), status.error().message);
        return ::write(output, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 4;
      }
    }
    return 5;
  };
  ChildProcess child(work);
  const std::string said = child.read_all();
  ASSERT_EQ(child.wait(), 0) << said;
  EXPECT_THAT(said, AllOf(HasSubstr("io_error"), HasSubstr(path().string()), HasSubstr("the disk is full")));
  const std::size_t saved = std::stoul(said);
  EXPECT_GT(saved, 0U);
  EXPECT_EQ(whole_batches(), saved);
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Fault, AFullDiskAtTheStartIsSaid) {
  const auto work = [&](int output) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {8'192, 8'192};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    const auto opened = open_store(path());
    if (opened) return 3;
    const std::string text = fmt::format("{} {}", errc_name(opened.error().code), opened.error().message);
    return ::write(output, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 4;
  };
  ChildProcess child(work);
  const std::string said = child.read_all();
  ASSERT_EQ(child.wait(), 0) << said;
  EXPECT_THAT(said, AllOf(StartsWith("io_error"), HasSubstr("the disk is full")));
  EXPECT_TRUE(value_of(store().recordings()).empty());  // with room, what was begun is finished
}

// Permissions do not bind root, so root becomes somebody else for it.
std::string open_without_permission(const std::filesystem::path& path) {
  ChildProcess child([&](int output) {
    constexpr uid_t nobody = 65'534;
    if (::geteuid() == 0 && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) return 2;
    const auto opened = open_store(path);
    const std::string text =
        opened ? "opened" : fmt::format("{} {}", errc_name(opened.error().code), opened.error().message);
    return ::write(output, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 4;
  });
  std::string said = child.read_all();
  EXPECT_EQ(child.wait(), 0) << said;
  return said;
}

TEST_F(Fault, AReadOnlyHomeIsSaid) {
  using std::filesystem::perms;
  const std::filesystem::path home = path().parent_path();
  std::filesystem::permissions(home.parent_path(), perms(0755));
  std::filesystem::create_directories(home);
  std::filesystem::permissions(home, perms(0555));
  EXPECT_THAT(open_without_permission(path()), AllOf(StartsWith("not_permitted"), HasSubstr(path().string())));
  EXPECT_THAT(open_without_permission(home / "deeper" / "escribano.db"),
              AllOf(StartsWith("not_permitted"), HasSubstr((home / "deeper").string())));
  std::filesystem::permissions(home, perms(0755));
}

TEST_F(Fault, AReadOnlyDatabaseIsSaidAndNotTouched) {
  using std::filesystem::perms;
  add_frames(4);
  close();
  const std::filesystem::path home = path().parent_path();
  std::filesystem::permissions(home.parent_path(), perms(0755));
  std::filesystem::permissions(path(), perms(0444));
  for (const perms folder : {perms(0555), perms(0777)}) {
    std::filesystem::permissions(home, folder);
    EXPECT_THAT(open_without_permission(path()), AllOf(StartsWith("not_permitted"), HasSubstr(path().string())));
  }
  std::filesystem::permissions(home, perms(0755));
  std::filesystem::permissions(path(), perms(0000));
  EXPECT_THAT(open_without_permission(path()), AllOf(StartsWith("not_permitted"), HasSubstr(path().string())));
  std::filesystem::permissions(path(), perms(0600));
  EXPECT_EQ(value_of(store().recording(id_)).frames, 4U);
}

TEST_F(Fault, AnotherWriterIsWaitedForAndThenNamed) {
  add_frames(4);
  close();
  const auto impatient = value_of(open_store(path(), kImpatient));
  RawDatabase other(path());
  other.run("BEGIN EXCLUSIVE; UPDATE recordings SET codec = 'other'");
  const auto start = std::chrono::steady_clock::now();
  const Status saved = impatient->save_observations(id_, batch(0));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(40));
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Errc::overloaded);
  EXPECT_THAT(saved.error().message,
              AllOf(HasSubstr(path().string()), HasSubstr("another process"), HasSubstr("0.05 s")));
  // Readers, and whoever opens it, need not wait.
  EXPECT_EQ(value_of(impatient->observations(id_)).size(), 4U);
  EXPECT_TRUE(open_store(path(), kImpatient));
  other.run("COMMIT");
  succeed(impatient->save_observations(id_, batch(0)));
}

TEST_F(Fault, AnotherProcessThatIsMakingTheDatabaseIsWaitedForAndThenNamed) {
  std::filesystem::create_directories(path().parent_path());
  RawDatabase other(path());
  other.run("BEGIN EXCLUSIVE; CREATE TABLE x (y)");
  const auto opened = open_store(path(), kImpatient);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::overloaded);
  other.run("ROLLBACK");
  EXPECT_TRUE(open_store(path(), kImpatient));
}

TEST_F(Fault, AReaderSeesOneStateWhileAnotherWrites) {
  add_frames(4);
  const auto second = value_of(open_store(path()));
  EXPECT_EQ(value_of(second->recording(id_)).described, 0U);
  succeed(store().save_observations(id_, batch(0)));
  EXPECT_EQ(value_of(second->recording(id_)).described, 4U);
  succeed(second->save_observations(id_, batch(0, "again")));
  EXPECT_EQ(value_of(store().search("again", {})).size(), 4U);
}

// Describes batch after batch; says so after each with one byte.
int write_until_killed(const std::filesystem::path& path, const std::string& id, std::size_t next, int output,
                       const std::function<std::vector<Observation>(std::size_t)>& batch) {
  auto opened = open_store(path);
  if (!opened) return 2;
  for (std::size_t number = next; (number + 1) * kBatch <= kFrames; ++number) {
    if (!(*opened)->save_observations(id, batch(number))) return 3;
    if (::write(output, "b", 1) != 1) return 4;
    // Segments all of one number; never of two.
    std::vector<Segment> segments;
    for (std::size_t i = 0; i < 20; ++i) {
      const auto start = static_cast<double>(i);
      segments.push_back({start, start + 1, "coding", {}, {}, std::to_string(number)});
    }
    if (!(*opened)->save_segments(id, segments, std::to_string(number), kNoon)) return 5;
  }
  return 0;
}

TEST_F(Fault, KilledAtAnyMomentWhatWasAcknowledgedIsThereAndNothingIsHalf) {
  add_frames();
  std::mt19937 random(4);
  std::size_t saved = 0;
  constexpr int kills = 20;
  for (int round = 0; round < kills; ++round) {
    close();
    std::size_t acknowledged = 0;
    {
      ChildProcess child([&](int output) {
        return write_until_killed(path(), id_, saved, output, [](std::size_t number) { return batch(number); });
      });
      const std::size_t wanted = random() % 20;
      char byte = 0;
      while (acknowledged < wanted && child.read_byte(byte)) ++acknowledged;
      // Somewhere in the following transactions; the time of the kill is the input of this test.
      const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 20'000);
      while (std::chrono::steady_clock::now() < moment) {
      }
      child.kill();
      ASSERT_EQ(child.wait(), -1);
      while (child.read_byte(byte)) ++acknowledged;
    }
    const std::size_t there = whole_batches();
    EXPECT_GE(there, saved + acknowledged) << "round " << round;
    EXPECT_LE(there, saved + acknowledged + 1) << "round " << round;
    const auto segments = value_of(store().segments(id_));
    EXPECT_TRUE(segments.empty() || segments.size() == 20) << segments.size();
    for (const Segment& segment : segments) {
      EXPECT_EQ(segment.description, value_of(store().recording(id_)).keys.segments);
    }
    EXPECT_EQ(integrity(), "ok");
    saved = there;
  }
  EXPECT_GT(saved, static_cast<std::size_t>(kills));
}

TEST_F(Fault, KilledWhileItIsMadeADatabaseIsFinishedTheNextTime) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    const std::filesystem::path file = path().parent_path() / std::to_string(round) / "escribano.db";
    ChildProcess child([&](int output) {
      const bool ready = ::write(output, "s", 1) == 1;
      return ready && open_store(file) ? 0 : 1;
    });
    char byte = 0;
    ASSERT_TRUE(child.read_byte(byte));
    const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 30'000);
    while (std::chrono::steady_clock::now() < moment) {
    }
    child.kill();
    (void)child.wait();
    const auto opened = open_store(file);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE(value_of((*opened)->recordings()).empty());
    EXPECT_EQ(RawDatabase(file).run("PRAGMA integrity_check"), "ok");
  }
}

}  // namespace
}  // namespace escribano
