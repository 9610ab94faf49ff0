// `kill -9` at random moments of a run, again and again: the rows at the end equal those of a run that nobody disturbed.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/subprocess.h"
#include "store/sqlite_store.h"
#include "support/library_home.h"

namespace escribano {
namespace {

// ESCRIBANO_TEST_KILLS sets another number: 200 take some eight minutes on two cores.
int kills_wanted() {
  const char* text = std::getenv("ESCRIBANO_TEST_KILLS");
#ifdef __SANITIZE_ADDRESS__
  return text == nullptr ? 5 : std::atoi(text);
#else
  return text == nullptr ? 30 : std::atoi(text);
#endif
}

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// All that is stored about a recording, but for when it came about and how long that took.
struct Rows {
  RecordingState state = RecordingState::known;
  StepKeys keys;
  std::vector<Observation> observations;
  std::vector<std::string> thumbnails;
  std::vector<Segment> segments;
  std::vector<Artefact> artefacts;

  friend bool operator==(const Rows&, const Rows&) = default;
};

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

Rows rows_of(const std::filesystem::path& database) {
  const std::unique_ptr<Store> store = value_of(open_store(database));
  const StoredRecording recording = value_of(store->recordings()).at(0);
  const std::string& id = recording.info.id;
  Rows rows;
  rows.state = recording.state;
  rows.keys = recording.keys;
  rows.observations = value_of(store->observations(id));
  for (Observation& observation : rows.observations) observation.model_ms = 0;
  for (const Thumbnail& thumbnail : value_of(store->thumbnails(id))) {
    rows.thumbnails.emplace_back(reinterpret_cast<const char*>(thumbnail.jpeg.data()), thumbnail.jpeg.size());
  }
  rows.segments = value_of(store->segments(id));
  rows.artefacts = value_of(store->artefacts(id));
  return rows;
}

void remove_database(const LibraryHome& home) {
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(home.database().native() + end);
}

TEST(Crash, KilledAtRandomMomentsARunEndsWithTheSameRows) {
  const LibraryHome home;
  const std::string recording = small_recording(home.folder(), 24).native();
  const std::vector<std::string> command =
      LibraryHome::process_arguments({recording, "--interval", "1", "--min-segment", "5"});

  const auto begin = Clock::now();
  const CommandResult undisturbed = home.run(command);
  const auto whole = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  ASSERT_EQ(undisturbed.exit_code, 0) << undisturbed.err;
  const Rows expected = rows_of(home.database());
  ASSERT_EQ(expected.state, RecordingState::summarised);
  remove_database(home);

  SubprocessOptions options{.arguments = command, .environment = home.options().environment};
  options.arguments.insert(options.arguments.begin(), escribano_program());
  std::mt19937 random(20'260'131);
  const int wanted = kills_wanted();
  int kills = 0;
  int runs = 0;
  while (kills < wanted) {
    auto process = value_of(Subprocess::start(options));
    // Its pipes take what little it prints.
    const milliseconds moment(std::uniform_int_distribution<long>(0, whole.count())(random));
    if (!process.wait(moment)) {
      ASSERT_EQ(::kill(process.pid(), SIGKILL), 0);
      ASSERT_TRUE(process.wait(std::chrono::seconds(20)));
      if (process.ended() == "was killed by signal 9") {
        ++kills;
        continue;
      }
    }
    ASSERT_EQ(process.ended(), "exited with status 0") << "after " << kills << " kills";
    ASSERT_EQ(rows_of(home.database()), expected) << "after " << kills << " kills";
    ++runs;
    remove_database(home);
  }
  const CommandResult last = home.run(command);
  EXPECT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(rows_of(home.database()), expected);
  std::cout << kills << " kills over " << runs + 1 << " runs; undisturbed a run takes " << whole.count() << " ms\n";
}

}  // namespace
}  // namespace escribano
