// The manual page and the completions: made of the program's options, so nothing is missing in them; read by the shells
// themselves.

#include <algorithm>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/app.h"
#include "cli/completions.h"
#include "cli/man_page.h"
#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Commands under a command, and what a text can be broken by.
CommandEntry nested() {
  // Never parsed into.
  bool flag = false;
  std::string text;
  CLI::App app("Does things", "escribano");
  app.add_flag("--loud", flag, "Don't whisper: shout [really] a\\b $HOME `id`");
  CLI::App* models = app.add_subcommand("models", "What is on this machine");
  CLI::App* pull = models->add_subcommand("pull", "Fetch a model");
  pull->add_option("NAME", text, "Its name")->required();
  pull->add_option("-q,--quantize", text, "How small")->option_text("q8_0|q4_k_m");
  pull->add_option("--into", text, ".so: the folder")->option_text("FOLDER");
  pull->add_option("--tries", text, "'How often'")->option_text("N");
  pull->footer("Text.\n\nExample:\n  escribano models pull demo\n\nMore.");
  CLI::App* check = models->add_subcommand("check", "Try a model");
  check->add_option("MODEL", text, "Which")->option_text("...");
  check->add_flag("--secret", flag, "Nobody sees this")->group("");
  models->add_subcommand("hidden", "Nobody sees this")->group("");
  app.add_subcommand("check", "Another command of the same name")->add_flag("--other", flag, "Here only");
  return command_tree(app);
}

CommandEntry program() {
  ExitCode unused = ExitCode::done;
  return command_tree(*make_app([](std::string_view) { return std::nullopt; }, unused));
}

ManPageFacts facts() { return {.version = "1.2.3", .date = "2026-01-31", .settings = Settings().rows()}; }

// Whether `tool` is there to read what was made for it.
bool is_installed(const std::string& tool) {
  return run_command({"/bin/sh", "-c", "command -v " + tool}).exit_code == 0;
}

class Scripts : public ::testing::Test {
 protected:
  std::string script(const std::string& text) const {
    const std::filesystem::path file = folder_.path() / "script";
    EXPECT_TRUE(write_file_atomically(file, text));
    return file.native();
  }
  // What bash offers for the last of the words; sorted.
  std::vector<std::string> bash_offers(const CommandEntry& tree, const std::vector<std::string>& words) const {
    std::vector<std::string> arguments = {"/usr/bin/env",
                                          "bash",
                                          "--norc",
                                          "-uc",
                                          R"(. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _escribano
                                             for offer in ${COMPREPLY[@]+"${COMPREPLY[@]}"}; do echo "$offer"; done)",
                                          script(bash_completion(tree))};
    arguments.insert(arguments.end(), words.begin(), words.end());
    return lines_of(run_command(arguments));
  }
  // The same for fish: of "process\tWhat it does" the first part.
  std::vector<std::string> fish_offers(const CommandEntry& tree, const std::string& line) const {
    CommandOptions options;
    options.environment["HOME"] = folder_.path().native();
    return lines_of(run_command({"/usr/bin/env", "fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]",
                                 script(fish_completion(tree)), line},
                                options));
  }

 private:
  static std::vector<std::string> lines_of(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    std::vector<std::string> lines;
    std::istringstream stream(result.out);
    for (std::string line; std::getline(stream, line);) lines.push_back(line.substr(0, line.find('\t')));
    std::sort(lines.begin(), lines.end());
    return lines;
  }
  TempFolder folder_;
};

// Read from the help text and not from the tree, so that what the tree forgot is noticed.
// "  -h,--help" and "  --json" begin a line; what they mean is indented further.
std::vector<std::string> options_in_help(const CLI::App& command) {
  std::vector<std::string> names;
  std::istringstream help(command.help());
  for (std::string line; std::getline(help, line);) {
    if (!line.starts_with("  -")) continue;
    const std::size_t begin = line.find("--");
    if (begin != 2 && begin != 5) continue;
    names.push_back(line.substr(begin, line.find_first_of(" ,", begin) - begin));
  }
  return names;
}

std::string replaced(std::string text, char what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, 1, with);
  return text;
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t from = text.find(begin);
  if (from == std::string::npos) return "";
  return text.substr(from, text.find(end, from + begin.size()) - from);
}

void expect_complete(const CLI::App& command, const std::string& path, const std::string& man, const std::string& zsh,
                     const std::string& fish) {
  const std::string section = between(man, "\n.SS escribano " + path + "\n", "\n.S");
  const std::string function = between(zsh, "\n_escribano_" + replaced(path, ' ', "_") + "()", "\n}");
  EXPECT_NE(section, "") << path;
  EXPECT_NE(function, "") << path;
  for (const std::string& name : options_in_help(command)) {
    const std::string dashed = replaced(name, '-', "\\-");
    if (name != "--help") {
      EXPECT_THAT(section, HasSubstr("\\fB" + dashed + "\\fR")) << path;
    }
    EXPECT_THAT(function, HasSubstr(name)) << path;
    EXPECT_THAT(fish, HasSubstr("_at '" + path + "'\" -")) << path;
    EXPECT_THAT(fish, HasSubstr(" -l " + name.substr(2) + " ")) << path;
  }
  for (const CLI::App* below : command.get_subcommands([](const CLI::App* app) { return !app->get_group().empty(); })) {
    expect_complete(*below, path + " " + below->get_name(), man, zsh, fish);
  }
}

TEST_F(Scripts, HaveEveryOptionThatHelpShows) {
  ExitCode unused = ExitCode::done;
  const auto app = make_app([](std::string_view) { return std::nullopt; }, unused);
  const CommandEntry tree = command_tree(*app);
  const std::string man = man_page(tree, facts());
  for (const CLI::App* command : app->get_subcommands([](const CLI::App*) { return true; })) {
    expect_complete(*command, command->get_name(), man, zsh_completion(tree), fish_completion(tree));
    std::vector<std::string> expected = options_in_help(*command);
    ASSERT_THAT(expected, Not(IsEmpty()));
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(bash_offers(tree, {"escribano", command->get_name(), "--"}), expected);
  }
  for (const SettingRow& row : facts().settings) EXPECT_THAT(man, HasSubstr(row.variable));
}

TEST_F(Scripts, BashCompletesCommandsOptionsAndValues) {
  const CommandEntry tree = program();
  EXPECT_THAT(bash_offers(tree, {"escribano", "proc"}), ElementsAre("process"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "process", "--unch"}), ElementsAre("--unchanged"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "process", "--unchanged", ""}),
              ElementsAre("exact", "none", "similar", "still"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "process", "--unchanged", "=", "st"}), ElementsAre("still"));
  // The value of an option is no command, and what follows it is an option again.
  EXPECT_THAT(bash_offers(tree, {"escribano", "process", "--model", "list", "--unch"}), ElementsAre("--unchanged"));
  // Files are bash's own affair.
  EXPECT_THAT(bash_offers(tree, {"escribano", "process", "--report", ""}), IsEmpty());
  EXPECT_THAT(bash_offers(tree, {"escribano", "describe", ""}), IsEmpty());
}

TEST_F(Scripts, BashFindsCommandsUnderCommands) {
  const CommandEntry tree = nested();
  EXPECT_THAT(bash_offers(tree, {"escribano", "models", ""}), ElementsAre("check", "pull"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "models", "pull", "--"}),
              ElementsAre("--help", "--into", "--quantize", "--tries"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "models", "pull", "-q", "q4"}), ElementsAre("q4_k_m"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "models", "check", "--"}), ElementsAre("--help"));
  EXPECT_THAT(bash_offers(tree, {"escribano", "check", "--"}), ElementsAre("--help", "--other"));
}

TEST_F(Scripts, FishCompletesTheSame) {
  if (!is_installed("fish")) GTEST_SKIP() << "fish is not installed";
  EXPECT_THAT(fish_offers(program(), "escribano proc"), ElementsAre("process"));
  EXPECT_THAT(fish_offers(program(), "escribano process --unchanged s"), ElementsAre("similar", "still"));
  const CommandEntry tree = nested();
  EXPECT_THAT(fish_offers(tree, "escribano models "), ElementsAre("check", "pull"));
  EXPECT_THAT(fish_offers(tree, "escribano models pull --qu"), ElementsAre("--quantize"));
  EXPECT_THAT(fish_offers(tree, "escribano check --o"), ElementsAre("--other"));
  EXPECT_THAT(fish_offers(tree, "escribano models check --o"), IsEmpty());
}

TEST_F(Scripts, ZshReadsItsOwn) {
  if (!is_installed("zsh")) GTEST_SKIP() << "zsh is not installed";
  for (const CommandEntry& tree : {program(), nested()}) {
    const CommandResult result = run_command({"/usr/bin/env", "zsh", "-f", "-n", script(zsh_completion(tree))});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err, "");
  }
  EXPECT_THAT(zsh_completion(nested()), AllOf(HasSubstr("pull) _escribano_models_pull ;;"), HasSubstr("(q8_0 q4_k_m)"),
                                              Not(HasSubstr("secret"))));
}

TEST_F(Scripts, TheManualPageIsOneThatManReads) {
  const std::string page = man_page(nested(), facts());
  EXPECT_THAT(page, AllOf(HasSubstr(".SS escribano models pull\n"), HasSubstr(".EX\nescribano models pull demo\n.EE"),
                          HasSubstr("\\&.so: the folder"), HasSubstr("\\&'How often'"), HasSubstr("a\\eb"),
                          Not(HasSubstr("Nobody sees this"))));
  if (!is_installed("mandoc")) GTEST_SKIP() << "mandoc is not installed";
  for (const CommandEntry& tree : {program(), nested()}) {
    const CommandResult result =
        run_command({"/usr/bin/env", "mandoc", "-Tlint", "-Wwarning", script(man_page(tree, facts()))});
    EXPECT_EQ(result.out + result.err, "");
    EXPECT_EQ(result.exit_code, 0);
  }
}

}  // namespace
}  // namespace escribano::cli
