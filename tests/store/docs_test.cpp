// What docs/store.md says of tables, versions and statements is so.
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

#include "store/schema.h"
#include "store/store_fixture.h"

namespace escribano {
namespace {

using testing::HasSubstr;

std::string page() {
  std::ifstream file(std::string(ESCRIBANO_SOURCE_DIR) + "/docs/store.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The part of the page below this heading.
std::string section(const std::string& heading) {
  const std::string text = page();
  const std::size_t start = text.find("\n## " + heading + "\n");
  EXPECT_NE(start, std::string::npos) << heading;
  if (start == std::string::npos) return {};
  return text.substr(start, text.find("\n## ", start + 1) - start);
}

// Rows of the section's table: the name in the first column, and the rest.
std::map<std::string, std::string> rows(const std::string& heading) {
  std::map<std::string, std::string> found;
  std::istringstream lines(section(heading));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t end = line.find(" |", 2);
    if (!line.starts_with("| ") || end == std::string::npos) continue;
    std::string name = line.substr(2, end - 2);
    if (name.starts_with('`')) name = name.substr(1, name.size() - 2);
    if (name != "table" && name != "version") found[name] = line.substr(end + 2, line.size() - end - 3);
  }
  return found;
}

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) found.insert(line);
  return found;
}

// Names in backquotes.
std::set<std::string> names(const std::string& text) {
  std::set<std::string> found;
  for (std::size_t start = text.find('`'); start != std::string::npos;) {
    const std::size_t end = text.find('`', start + 1);
    if (end == std::string::npos) break;
    found.insert(text.substr(start + 1, end - start - 1));
    start = text.find('`', end + 1);
  }
  return found;
}

class StorePage : public StoreTest {};

TEST_F(StorePage, ListsEveryTableWithItsColumns) {
  store();
  RawDatabase raw(path());
  std::set<std::string> documented;
  for (const auto& [table, row] : rows("Tables")) {
    documented.insert(table);
    const std::string columns = row.substr(row.rfind(" | ") + 3);
    EXPECT_EQ(names(columns), lines_of(raw.run("SELECT name FROM pragma_table_info('" + table + "')"))) << table;
  }
  EXPECT_EQ(documented, lines_of(raw.run("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN "
                                         "('table', 'virtual') AND name NOT LIKE 'sqlite%'")));
  EXPECT_EQ(raw.run("SELECT name FROM sqlite_schema WHERE type = 'view'"), "described_words");
}

TEST_F(StorePage, ListsEveryVersion) {
  std::set<std::string> expected;
  for (std::int64_t version = 1; version <= newest_version(); ++version) expected.insert(std::to_string(version));
  std::set<std::string> documented;
  for (const auto& [version, what] : rows("Versions")) documented.insert(version);
  EXPECT_EQ(documented, expected);
  EXPECT_THAT(page(), HasSubstr(fmt::format("`{:#x}`", kApplicationId)));
}

TEST_F(StorePage, ItsStatementsRun) {
  add_sampled(id_, {sampled_frame(0, "a"), unchanged_frame(1, "a", 0), sampled_frame(2, "b"), sampled_frame(3, "c")});
  succeed(store().save_observations(id_, std::vector{described(0, 0, "A build in the terminal"), failed(2, 2)}));
  const std::int64_t run = value_of(store().begin_run(id_, "escribano 0.1.0", kMorning));
  succeed(store().add_step(run, {"sample", "done", "", 2, 0.5, 0, 0}));
  const std::string looking = section("Looking into it");
  const std::size_t start = looking.find("```sql\n") + 7;
  const std::string block = looking.substr(start, looking.find("```", start) - start);
  RawDatabase raw(path());
  std::istringstream statements(block);
  std::size_t count = 0;
  for (std::string statement; std::getline(statements, statement, ';');) {
    if (statement.find_first_not_of(" \n") == std::string::npos) continue;
    ++count;
    const std::string result = raw.run(statement);
    if (statement.find("SELECT") != std::string::npos) {
      EXPECT_FALSE(result.empty()) << statement;
    }
  }
  EXPECT_EQ(count, 7U);
}

}  // namespace
}  // namespace escribano
