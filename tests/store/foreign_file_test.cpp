// Files that are no database of ours, or no longer, or not yet: refused with a sentence, and left as they are.
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "store/schema.h"
#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Every file of a folder with its size and a hash of its bytes.
using Files = std::map<std::string, std::pair<std::size_t, std::size_t>>;
Files contents(const std::filesystem::path& folder) {
  Files files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string bytes = entry.is_regular_file() ? bytes_of(entry.path()) : std::string();
    files[entry.path().filename().string()] = {bytes.size(), std::hash<std::string>{}(bytes)};
  }
  return files;
}

// Calls every function; what is found may be wrong, but each call returns.
std::vector<Error> use_all_of(Store& store, const std::string& id) {
  std::vector<Error> errors;
  const auto note = [&](const auto& result) {
    if (!result) errors.push_back(result.error());
  };
  note(store.recordings());
  note(store.recording(id));
  note(store.observations(id));
  note(store.segments(id));
  note(store.artefacts(id));
  note(store.thumbnails(id));
  note(store.runs(id));
  note(store.search("parser", {}));
  note(store.search("pars* the", {20, id}));
  note(store.save_observations(id, std::vector{described(0, 0, "parser again"), described(2, 2, "and again")}));
  note(store.save_segments(id, std::vector{Segment{0, 2, "coding", {}, {}, "x"}}, "k", kNoon));
  note(store.save_artefacts(id, std::vector{Artefact{ArtefactFormat::card, "t", "", {}}}, kNoon));
  note(store.save_sampling(id, {{sampled_frame(0, "a"), sampled_frame(1, "c")}, {}}, "k", kNoon));
  note(store.add_recording(recording_info(id_of("beef")), kNoon));
  const auto run = store.begin_run(id, "escribano 0.1.0", kNoon);
  note(run);
  if (run) note(store.add_step(*run, {"sample", "done", "", 1, 1, 1, 1}));
  note(store.reset_recording(id, kNoon));
  return errors;
}

class ForeignFile : public StoreTest {
 protected:
  std::filesystem::path folder() const { return path().parent_path(); }
  // Opening fails with this code, names the file, and leaves every byte of the folder as it was.
  std::string refused(Errc code) {
    const auto before = contents(folder());
    const auto opened = open_store(path());
    EXPECT_FALSE(opened);
    if (opened) return {};
    EXPECT_EQ(opened.error().code, code) << opened.error().message;
    EXPECT_THAT(opened.error().message, HasSubstr(path().string()));
    EXPECT_EQ(contents(folder()), before);
    return opened.error().message;
  }
  // A closed database with everything in it.
  void fill() {
    add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b")});
    std::string text = "the parser";
    for (int i = 0; i < 400; ++i) text += fmt::format(" word{}", i);
    succeed(store().save_observations(id_, std::vector{described(0, 0, text), failed(2, 2)}));
    succeed(store().finish_description(id_, kMorning));
    succeed(
        store().save_segments(id_, std::vector{Segment{0, 2, "coding", {"VS Code"}, {}, "x"}}, "segments", kMorning));
    succeed(store().save_artefacts(id_, std::vector{Artefact{ArtefactFormat::card, "text", "", {"n"}}}, kMorning));
    const std::int64_t run = value_of(store().begin_run(id_, "escribano 0.1.0", kMorning));
    succeed(store().add_step(run, {"sample", "done", "", 3, 0.5, 0, 0}));
    close();
  }
};

TEST_F(ForeignFile, ATextFileIsNoDatabase) {
  write_bytes(path(), std::string(10'000, 'x') + "\n");
  EXPECT_THAT(refused(Errc::corrupt), HasSubstr("damaged"));
  write_bytes(path(), "short");
  refused(Errc::corrupt);
}

TEST_F(ForeignFile, RandomBytesAreNoDatabase) {
  std::mt19937 random(1);
  for (const std::size_t size : {1U, 99U, 100U, 512U, 4096U, 100'000U}) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    write_bytes(path(), bytes);
    refused(Errc::corrupt);
  }
}

TEST_F(ForeignFile, AnEmptyFileBecomesADatabase) {
  write_bytes(path(), "");
  EXPECT_TRUE(value_of(store().recordings()).empty());
}

TEST_F(ForeignFile, ADatabaseOfAnotherProgramIsLeftAlone) {
  std::filesystem::create_directories(folder());
  for (const std::string mark :
       {"PRAGMA application_id = 0", "PRAGMA application_id = 252006674", "PRAGMA user_version = 2"}) {
    std::filesystem::remove(path());
    RawDatabase(path()).run(mark + "; CREATE TABLE recordings (id TEXT); INSERT INTO recordings VALUES ('mine')");
    EXPECT_THAT(refused(Errc::unsupported), AllOf(HasSubstr("another program"), HasSubstr("ESCRIBANO_HOME")));
  }
  // In a log as well: no file is made beside it.
  RawDatabase(path()).run("PRAGMA journal_mode = WAL");
  refused(Errc::unsupported);
}

TEST_F(ForeignFile, ADatabaseOfANewerVersionIsLeftAlone) {
  fill();
  RawDatabase(path()).run("PRAGMA journal_mode = DELETE; CREATE TABLE future (x); PRAGMA user_version = 99");
  EXPECT_EQ(refused(Errc::unsupported),
            fmt::format("{} was made by a newer Escribano (version 99, this one knows {}); update, or choose another "
                        "ESCRIBANO_HOME",
                        path().string(), newest_version()));
}

TEST_F(ForeignFile, ANewerVersionThatIsOnlyInTheLogIsSeen) {
  fill();
  RawDatabase newer(path());
  newer.run("PRAGMA wal_autocheckpoint = 0; CREATE TABLE future (x); PRAGMA user_version = 99");
  const std::string before = bytes_of(path());
  const auto opened = open_store(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::unsupported);
  EXPECT_THAT(opened.error().message, HasSubstr("newer Escribano"));
  EXPECT_TRUE(bytes_of(path()) == before);
  EXPECT_EQ(newer.run("PRAGMA user_version"), "99");
}

TEST_F(ForeignFile, ALogThatANewerProgramLeftBehindStaysInPlace) {
  fill();
  const TempFolder crashed;
  {
    RawDatabase newer(path());
    newer.run("PRAGMA wal_autocheckpoint = 0; CREATE TABLE future (x); PRAGMA user_version = 99");
    for (const char* suffix : {"", "-wal"}) {
      std::filesystem::copy(path().string() + suffix, crashed.path() / (std::string("escribano.db") + suffix));
    }
  }
  const auto before = contents(crashed.path());
  ASSERT_FALSE(open_store(crashed.path() / "escribano.db"));
  const auto after = contents(crashed.path());
  EXPECT_EQ(after.at("escribano.db"), before.at("escribano.db"));
  EXPECT_EQ(after.at("escribano.db-wal"), before.at("escribano.db-wal"));
}

TEST_F(ForeignFile, AFolderInItsPlaceIsNamedAsOne) {
  std::filesystem::create_directories(path() / "precious");
  EXPECT_THAT(refused(Errc::unsupported), HasSubstr("is a folder"));
}

TEST_F(ForeignFile, AFileInPlaceOfTheHomeIsNamed) {
  write_bytes(folder(), "a file");
  const auto opened = open_store(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::io_error);
  EXPECT_THAT(opened.error().message, HasSubstr(folder().string()));
  EXPECT_EQ(bytes_of(folder()), "a file");
}

TEST_F(ForeignFile, ATruncatedDatabaseIsDamaged) {
  fill();
  const std::string whole = bytes_of(path());
  ASSERT_GT(whole.size(), 20U * 4096U);
  std::vector<std::size_t> sizes = {1, 16, 50, 99, 100, 511, 512, 4095};
  for (std::size_t pages = 1; pages * 4096 < whole.size(); ++pages) sizes.push_back(pages * 4096);
  for (const std::size_t size : sizes) {
    write_bytes(path(), whole.substr(0, size));
    const auto before = contents(folder());
    const auto opened = open_store(path());
    ASSERT_FALSE(opened) << size;
    EXPECT_EQ(opened.error().code, Errc::corrupt) << size;
    EXPECT_THAT(opened.error().message, AllOf(HasSubstr(path().string()), HasSubstr("damaged"))) << size;
    EXPECT_EQ(contents(folder()).at("escribano.db"), before.at("escribano.db")) << size;
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path().string() + suffix);
  }
}

TEST_F(ForeignFile, OverwrittenPagesAreNoticedWhenTheyAreReadAndNeverEndTheProcess) {
  fill();
  const std::string whole = bytes_of(path());
  std::mt19937 random(2);
  for (std::size_t page = 1; page * 4096 < whole.size(); ++page) {
    std::string bytes = whole;
    for (std::size_t i = page * 4096; i < (page + 1) * 4096; ++i) bytes[i] = static_cast<char>(random());
    write_bytes(path(), bytes);
    const auto opened = open_store(path());
    const std::vector<Error> errors = opened ? use_all_of(**opened, id_) : std::vector{opened.error()};
    EXPECT_FALSE(errors.empty()) << "page " << page;
    for (const Error& error : errors) {
      EXPECT_TRUE(error.code == Errc::corrupt || error.code == Errc::not_found) << error.message;
      EXPECT_THAT(error.message, HasSubstr(path().string()));
    }
  }
}

TEST_F(ForeignFile, FlippedBytesNeverEndTheProcess) {
  fill();
  const std::string whole = bytes_of(path());
  std::mt19937 random(3);
  std::size_t noticed = 0;
  for (int round = 0; round < 150; ++round) {
    std::string bytes = whole;
    // Also in the header and the schema, where a little does much.
    const std::size_t range = round % 3 == 0 ? 4096 : whole.size();
    for (int flips = 0; flips < 1 + round % 20; ++flips) bytes[random() % range] = static_cast<char>(random());
    for (const char* suffix : {"-wal", "-shm", "-journal"}) std::filesystem::remove(path().string() + suffix);
    write_bytes(path(), bytes);
    const auto opened = open_store(path());
    const std::vector<Error> errors = opened ? use_all_of(**opened, id_) : std::vector{opened.error()};
    noticed += errors.empty() ? 0 : 1;
    for (const Error& error : errors) {
      EXPECT_TRUE(error.code == Errc::corrupt || error.code == Errc::not_found || error.code == Errc::unsupported ||
                  error.code == Errc::invalid_argument || error.code == Errc::too_large ||
                  error.code == Errc::not_permitted || error.code == Errc::out_of_memory)
          << errc_name(error.code) << ": " << error.message;
    }
  }
  EXPECT_GT(noticed, 50U);
}

TEST_F(ForeignFile, ValuesThatNobodyWroteAreDamage) {
  const auto broken = [&](const std::string& sql) {
    fill();
    RawDatabase(path()).run("PRAGMA ignore_check_constraints = ON; " + sql);
    std::vector<Error> errors;
    const auto note = [&](const auto& result) {
      if (!result) errors.push_back(result.error());
    };
    note(store().recordings());
    note(store().observations(id_));
    note(store().segments(id_));
    note(store().artefacts(id_));
    note(store().runs(id_));
    note(store().thumbnails(id_));
    close();
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path().string() + suffix);
    return errors;
  };
  for (const std::string sql : {"UPDATE recordings SET state = 'tired'",
                                "UPDATE recordings SET warnings = '[1]'",
                                "UPDATE recordings SET bytes = -1",
                                "UPDATE recordings SET width_px = 5000000000",
                                "UPDATE recordings SET duration_s = 9e999",
                                "UPDATE frames SET position = 9 WHERE position = 1",
                                "UPDATE frames SET source_position = 7 WHERE position = 1",
                                "UPDATE frames SET source_position = -1 WHERE position = 1",
                                "UPDATE frames SET timestamp_s = -9e999",
                                "UPDATE observations SET status = 'maybe'",
                                "UPDATE observations SET apps = 'nonsense'",
                                "UPDATE observations SET topics = '[[]]'",
                                "UPDATE observations SET attempts = -1",
                                "UPDATE segments SET apps = '{'",
                                "UPDATE segments SET end_s = 9e999",
                                "UPDATE artefacts SET format = 'poem'",
                                "UPDATE artefacts SET notes = ''",
                                "UPDATE steps SET items = -5",
                                "UPDATE steps SET seconds = 9e999",
                                "DROP TABLE segments",
                                "DROP TABLE thumbnails"}) {
    const std::vector<Error> errors = broken(sql);
    ASSERT_FALSE(errors.empty()) << sql;
    for (const Error& error : errors) {
      EXPECT_EQ(error.code, Errc::corrupt) << sql << ": " << error.message;
      EXPECT_THAT(error.message, HasSubstr(path().string() + " is damaged"));
    }
  }
}

}  // namespace
}  // namespace escribano
