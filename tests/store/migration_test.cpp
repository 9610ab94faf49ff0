// Databases of older versions (tests/store/versions/) are brought up to date with all they hold.
#include <atomic>
#include <fstream>
#include <latch>
#include <sstream>
#include <thread>

#include "store/open_options.h"
#include "store/schema.h"
#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path fixture(std::int64_t version) {
  return std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "tests/store/versions" / fmt::format("version-{}.sql", version);
}

// Tables, indices, views and triggers, as the statements that made them.
std::string schema_of(const std::filesystem::path& path) {
  return RawDatabase(path).run(
      "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name");
}

class Migration : public StoreTest {
 protected:
  std::filesystem::path database_of_version(std::int64_t version) {
    std::filesystem::create_directories(path().parent_path());
    std::ifstream file(fixture(version));
    std::stringstream sql;
    sql << file.rdbuf();
    RawDatabase raw(path());
    raw.run("PRAGMA journal_mode = WAL");
    raw.run("BEGIN;" + sql.str() + "COMMIT");
    EXPECT_EQ(raw.run("PRAGMA user_version"), std::to_string(version));
    return path();
  }
  std::string version_of_file() { return RawDatabase(path()).run("PRAGMA user_version"); }
};

class MigrationFrom : public Migration, public testing::WithParamInterface<std::int64_t> {};
INSTANTIATE_TEST_SUITE_P(EveryOlderVersion, MigrationFrom, testing::Range<std::int64_t>(1, newest_version()),
                         [](const auto& version) { return fmt::format("Version{}", version.param); });

TEST_P(MigrationFrom, KeepsEverythingThatWasStored) {
  database_of_version(GetParam());
  const StoredRecording stored = value_of(store().recording(id_));
  EXPECT_EQ(stored.info.path, "/rec \xff/morning.mp4");
  EXPECT_EQ(stored.info.bytes, 123'456'789U);
  EXPECT_EQ(stored.info.duration_s, 60.5);
  EXPECT_EQ(stored.state, RecordingState::summarised);
  EXPECT_EQ(stored.keys, (StepKeys{"every 10 s", "model demo", "min 30 s"}));
  EXPECT_EQ(stored.added_at, kMorning);
  EXPECT_EQ(stored.updated_at, kNoon);
  EXPECT_THAT(stored.warnings, ElementsAre("damaged at 12 s"));
  EXPECT_EQ(stored.frames, 4U);
  EXPECT_EQ(stored.described, 1U);
  EXPECT_EQ(stored.unchanged, 1U);
  EXPECT_EQ(stored.failed, 2U);
  EXPECT_EQ(stored.segments, 2U);
  EXPECT_EQ(value_of(store().recordings()).size(), 2U);

  const auto observations = value_of(store().observations(id_));
  ASSERT_EQ(observations.size(), 4U);
  Observation first = described(0, 0, "Editing the café parser", {"VS Code", "Terminal"}, {"tokenizer"});
  EXPECT_EQ(observations[0], first);
  EXPECT_EQ(observations[1].status, ObservationStatus::unchanged);
  EXPECT_EQ(observations[1].timestamp_s, 10.1);
  EXPECT_EQ(observations[1].description, first.description);
  EXPECT_EQ(observations[2].raw_response, "I see a screen.");
  EXPECT_EQ(observations[3].attempts, 3);

  EXPECT_EQ(value_of(store().segments(id_)).at(1), (Segment{20.3, 60.5, "other", {}, {}, ""}));
  EXPECT_EQ(value_of(store().artefacts(id_)),
            std::vector{(Artefact{ArtefactFormat::card, "# Morning", "", {"left out: Mail"}, "of=1"})});
  if (GetParam() >= 2) {
    EXPECT_EQ(value_of(store().thumbnails(id_)).at(1).timestamp_s, 20.3);
    const auto runs = value_of(store().runs(id_));
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].id, 7);
    EXPECT_EQ(runs[0].steps.at(1).detail, "the bridge went away");
  } else {
    EXPECT_TRUE(value_of(store().thumbnails(id_)).empty());
    EXPECT_TRUE(value_of(store().runs(id_)).empty());
  }
}

TEST_P(MigrationFrom, FindsWhatWasDescribedBeforeThereWasASearch) {
  database_of_version(GetParam());
  for (const std::string word : {"cafe", "parser", "code", "tokenizer"}) {
    const auto hits = value_of(store().search(word, {}));
    ASSERT_EQ(hits.size(), 1U) << word;
    EXPECT_EQ(hits[0].observation.description, "Editing the café parser");
  }
  // And what changes from now on.
  succeed(store().save_observations(id_, std::vector{described(0, 0, "Reading mail"), described(2, 20.3, "parser")}));
  EXPECT_TRUE(value_of(store().search("cafe", {})).empty());
  EXPECT_EQ(value_of(store().search("parser", {})).at(0).observation.position, 2U);
  EXPECT_EQ(integrity(), "ok");
}

TEST_P(MigrationFrom, EndsWithTheSchemaOfANewDatabase) {
  const TempFolder fresh;
  ASSERT_TRUE(open_store(fresh.path() / "new.db"));
  database_of_version(GetParam());
  store();
  close();
  EXPECT_EQ(schema_of(path()), schema_of(fresh.path() / "new.db"));
  EXPECT_EQ(version_of_file(), std::to_string(newest_version()));
}

TEST_P(MigrationFrom, ThatFailsForWantOfSpaceLosesNothingAndIsDoneTheNextTime) {
  const std::int64_t pages = std::stoll(RawDatabase(database_of_version(GetParam())).run("PRAGMA page_count"));
  bool failed_once = false;
  for (std::int64_t more = 0;; ++more) {
    ASSERT_LT(more, 100);
    const auto opened = open_store(path(), {std::chrono::seconds(10), pages + more});
    if (opened) break;
    failed_once = true;
    EXPECT_EQ(opened.error().code, Errc::io_error);
    EXPECT_THAT(opened.error().message, HasSubstr("the disk is full"));
    RawDatabase raw(path());
    EXPECT_GE(std::stoll(raw.run("PRAGMA user_version")), GetParam());
    EXPECT_LT(std::stoll(raw.run("PRAGMA user_version")), newest_version());
    EXPECT_EQ(raw.run("SELECT count(*) FROM observations"), "3");
    EXPECT_EQ(raw.run("PRAGMA integrity_check"), "ok");
  }
  EXPECT_TRUE(failed_once);
  EXPECT_EQ(value_of(store().search("parser", {})).size(), 1U);
  EXPECT_EQ(integrity(), "ok");
}

TEST_P(MigrationFrom, IsDoneOnceWhenManyOpenAtTheSameTime) {
  database_of_version(GetParam());
  constexpr int count = 8;
  std::latch start(count);
  std::atomic<int> found = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        const auto opened = open_store(path());
        ASSERT_TRUE(opened) << opened.error().message;
        const auto hits = (*opened)->search("parser", {});
        ASSERT_TRUE(hits) << hits.error().message;
        found += static_cast<int>(hits->size());
      });
    }
  }
  EXPECT_EQ(found, count);
  EXPECT_EQ(integrity(), "ok");
}

TEST_F(Migration, ANewDatabaseIsMadeOnceWhenManyOpenAtTheSameTime) {
  constexpr int count = 8;
  for (int round = 0; round < 10; ++round) {
    const std::filesystem::path file = path().parent_path() / std::to_string(round) / "escribano.db";
    std::latch start(count);
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
          start.arrive_and_wait();
          const auto opened = open_store(file);
          ASSERT_TRUE(opened) << opened.error().message;
          const Status added = (*opened)->add_recording(recording_info(id_of(fmt::format("{:04}", i))), kMorning);
          ASSERT_TRUE(added) << added.error().message;
        });
      }
    }
    EXPECT_EQ(value_of(value_of(open_store(file))->recordings()).size(), 8U);
  }
}

TEST_F(Migration, EveryOlderVersionHasAFixture) {
  ASSERT_GE(newest_version(), 3);
  for (std::int64_t version = 1; version < newest_version(); ++version) {
    EXPECT_TRUE(std::filesystem::exists(fixture(version))) << version;
  }
}

TEST_F(Migration, ANewDatabaseIsMarkedSafeAndPrivate) {
  store();
  RawDatabase raw(path());
  EXPECT_EQ(raw.run("PRAGMA application_id"), std::to_string(kApplicationId));
  EXPECT_EQ(raw.run("PRAGMA user_version"), std::to_string(newest_version()));
  EXPECT_EQ(raw.run("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(raw.run("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict "
                    "AND name NOT LIKE 'sqlite%'"),
            "");
  EXPECT_EQ(std::filesystem::status(path()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(Migration, TheConnectionSyncsEveryCommitAndChecksForeignKeys) {
  const auto database = value_of(open_database(path(), {}));
  EXPECT_EQ(value_of(database->integer("PRAGMA synchronous")), 2);  // FULL
  EXPECT_EQ(value_of(database->integer("PRAGMA foreign_keys")), 1);
  EXPECT_EQ(value_of(database->integer("PRAGMA trusted_schema")), 0);
  EXPECT_EQ(value_of(database->integer("PRAGMA busy_timeout")), 10'000);
  EXPECT_EQ(sqlite_version(), sqlite3_libversion());
}

}  // namespace
}  // namespace escribano
