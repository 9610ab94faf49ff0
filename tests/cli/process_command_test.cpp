// `escribano process` and the commands that show what it stored, as a person or a script runs them: the real program, the
// demo model, the sample recording, and files that are none.
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/file_lock.h"
#include "base/subprocess.h"
#include "store/sqlite_store.h"
#include "support/library_home.h"

namespace escribano {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class ProcessCommand : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = home.folder() / name;
    std::ofstream(path, std::ios::binary) << content;
    return path.native();
  }
  // ffmpeg with these arguments and a file of that name behind them.
  std::string make(const std::string& name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"/usr/bin/env", "ffmpeg", "-nostdin", "-loglevel", "error", "-y"});
    arguments.push_back((home.folder() / name).native());
    const CommandResult result = run_command(arguments);
    if (result.exit_code != 0) throw std::runtime_error(result.err);
    return arguments.back();
  }

  LibraryHome home;
};

TEST_F(ProcessCommand, TheSampleComesOutAsItWas) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP()
      << "takes minutes there, and looks at texts, which threads that race would change in the other builds, too";
#endif
  const CommandResult result = home.process({sample_recording().native(), "--interval", "2", "--min-segment", "5",
                                             "--report", (home.folder() / "r.html").native()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("# "));
  EXPECT_THAT(result.out, HasSubstr("TablePlus"));
  EXPECT_THAT(result.err, HasSubstr("session-a.mp4: "));
  EXPECT_THAT(result.err, HasSubstr("the report is " + (home.folder() / "r.html").native()));
  EXPECT_THAT(result.err, Not(HasSubstr("\r"))) << "no progress bar where standard error is no terminal";
  EXPECT_GT(std::filesystem::file_size(home.folder() / "r.html"), 50'000u);

  // What the README says ./run prints.
  const std::string readme = read_text_file(ESCRIBANO_SOURCE_DIR "/README.md", 1 << 20).value();
  const std::size_t from = readme.find("```\n", readme.find("<!-- output of ./run -->")) + 4;
  const std::string block = readme.substr(from, readme.find("```", from) - from);
  EXPECT_GT(block.size(), 500u);
  EXPECT_EQ(result.out, block);

  const CommandResult shown = home.run({"show", sample_recording().native(), "--json"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  const std::string file = write("found.json", shown.out);
  const std::filesystem::path source = ESCRIBANO_SOURCE_DIR;
  const CommandResult compared =
      run_command({"/bin/sh", "-c", "exec \"$0\" \"$1\" --tolerance 2 < \"$2\"", source / "tools" / "compare_truth.py",
                   source / "assets" / "samples" / "session-a.truth.json", file});
  EXPECT_EQ(compared.exit_code, 0) << compared.out << compared.err;

  const CommandResult again = home.process({sample_recording().native()});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, result.out) << "what was asked for before is kept, as nothing else is asked for";
  EXPECT_THAT(again.err, Not(HasSubstr("frames/s"))) << "nothing is described again";
}

TEST_F(ProcessCommand, WhatIsStoredIsListedShownFoundAndReported) {
  const std::string recording = cut_recording(home.folder(), 24).native();
  ASSERT_EQ(home.process({recording, "--interval", "4", "--min-segment", "5", "--llm", "none"}).exit_code, 0);

  const CommandResult list = home.run({"list"});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.out, HasSubstr("summarised"));
  EXPECT_THAT(list.out, HasSubstr("first-24s.mp4"));
  const Json listed = Json::parse(home.run({"list", "--json"}).out);
  EXPECT_EQ(listed.at("schema"), 1);
  const std::string id = listed.at("recordings").at(0).at("id");

  const CommandResult show = home.run({"show", id.substr(0, 8)});
  EXPECT_EQ(show.exit_code, 0) << show.err;
  EXPECT_THAT(show.out, HasSubstr("querying"));
  EXPECT_THAT(show.out, HasSubstr("describe"));

  const CommandResult search = home.run({"search", "tableplus", "rows", "--json"});
  EXPECT_EQ(search.exit_code, 0) << search.err;
  const Json hits = Json::parse(search.out).at("hits");
  ASSERT_FALSE(hits.empty());
  EXPECT_EQ(hits.at(0).at("recording_id"), id);
  EXPECT_THAT(home.run({"search", "tableplus"}).out, HasSubstr("first-24s.mp4 at 0:00, 0:04, 0:08  "))
      << "what is said in the same words is shown once";
  EXPECT_THAT(home.run({"show", "first-24s.mp4"}).out, HasSubstr(id)) << "the name of the file will do";
  EXPECT_THAT(home.run({"search", "kubernetes"}).err, HasSubstr("no frame shows that"));
  EXPECT_EQ(home.run({"search", "\" OR * NEAR("}).exit_code, 0) << "there are no operators";
  EXPECT_EQ(home.run({"search", "...", "!"}).exit_code, 2) << "and no words here";

  EXPECT_THAT(home.run({"report", recording, "--format", "card"}).out, HasSubstr("language model"));
  EXPECT_THAT(home.run({"report", recording, "--format", "srt"}).out, HasSubstr("00:00:00,000 --> "));
  EXPECT_THAT(home.run({"report", recording, "--format", "markdown"}).out, StartsWith("# "));
  EXPECT_EQ(Json::parse(home.run({"report", recording, "--format", "json"}).out).at("schema"), 1);
  const CommandResult html = home.run({"report", recording});
  EXPECT_EQ(html.exit_code, 0);
  EXPECT_THAT(html.out, IsEmpty());
  EXPECT_THAT(html.err, HasSubstr("the report is " + (home.home() / "reports").native()));
  EXPECT_THAT(home.run({"report", recording, "-o", "-"}).out, HasSubstr("<html"));

  const std::string without = home.run({"report", recording, "-o", "-", "--exclude-app", "tableplus"}).out;
  EXPECT_FALSE(without.find("users table") != std::string::npos) << "nothing of what that app showed";
  EXPECT_THAT(without, HasSubstr("atlas-search"));
  EXPECT_THAT(without, HasSubstr("data:image/jpeg")) << "of the frames that show nothing of it";
  const std::string behind =
      home.run({"report", recording, "-o", "-", "--exclude-app", "figma", "--exclude-app", "zoom"}).out;
  EXPECT_THAT(behind, HasSubstr("TablePlus"));
  EXPECT_THAT(behind, Not(HasSubstr("data:image/jpeg"))) << "each of these pictures shows a window of Figma";
}

TEST_F(ProcessCommand, DryRunListsFramesAndStoresNothing) {
  const CommandResult text = home.run({"process", "--dry-run", sample_recording().native(), "--interval", "2"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("     0:00  describe: the first frame"));
  EXPECT_THAT(text.out, HasSubstr("     1:30  same as at 1:2"));
  EXPECT_THAT(text.out, HasSubstr("differs by more than 4 of 255"));
  EXPECT_THAT(text.err, HasSubstr("frames would be described"));
  EXPECT_FALSE(std::filesystem::exists(home.database()));
  const CommandResult json =
      home.run({"process", "--dry-run", "--json", sample_recording().native(), "--unchanged", "exact"});
  const Json document = Json::parse(json.out);
  EXPECT_EQ(document.at("schema"), 1);
  EXPECT_EQ(document.at("unchanged"), "exact");
  EXPECT_EQ(document.at("frames").at(0).at("reason"), "first");
  EXPECT_EQ(document.at("frames").back().at("reason"), "last");
}

TEST_F(ProcessCommand, TwoProcessesOnOneRecording) {
  const std::string recording = cut_recording(home.folder(), 4).native();
  const Json dry = Json::parse(home.run({"process", "--dry-run", "--json", recording}).out);
  const std::string id = dry.at("recording").at("id");
  std::filesystem::create_directories(home.home() / "locks");
  const auto lock = FileLock::try_lock(home.home() / "locks" / (id + ".lock"));
  ASSERT_TRUE(lock && *lock);
  const CommandResult result = home.process({recording, "--llm", "none"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(recording + " is being processed by another escribano"));
}

TEST_F(ProcessCommand, CtrlCKeepsWhatWasDoneAndTheNextRunGoesOn) {
  const std::string recording = cut_recording(home.folder(), 30).native();
  std::vector<std::string> arguments = LibraryHome::process_arguments({recording, "--interval", "2", "--llm", "none"});
  arguments.insert(arguments.begin(), escribano_program());
  SubprocessOptions options{.arguments = arguments};
  for (const auto& [name, value] : home.options().environment) options.environment[name] = value;
  auto started = Subprocess::start(options);
  ASSERT_TRUE(started) << started.error().message;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(100);
  std::size_t described = 0;
  while (described == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the processor is for what we wait for
    if (!std::filesystem::exists(home.database())) continue;
    const auto store = open_store(home.database());
    if (!store) continue;
    const auto recordings = (*store)->recordings();
    if (recordings && !recordings->empty()) described = recordings->front().described;
  }
  ASSERT_GT(described, 0u);
  ASSERT_EQ(::kill(started->pid(), SIGINT), 0);
  ASSERT_TRUE(started->wait(std::chrono::seconds(60)));
  EXPECT_EQ(started->ended(), "exited with status 130");
  const Json before = Json::parse(home.run({"list", "--json"}).out).at("recordings").at(0);
  EXPECT_EQ(before.at("status"), "sampled");
  const CommandResult rest = home.process({recording, "--interval", "2", "--llm", "none"});
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_THAT(rest.err, Not(HasSubstr(std::to_string(before.at("frames").get<int>()) + " described in")));
}

TEST_F(ProcessCommand, BadInputGetsOneErrorThatNamesTheFileAndTheReason) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {(home.folder() / "missing.mp4").native(), "No such file"},
      {home.folder().native(), "folder"},
      {write("empty.mp4", ""), "empty"},
      {write("notes.mp4", "These are my notes, and no video.\n"), ""},
      {make("sound.m4a", {"-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"}), "only sound"},
  };
  for (const auto& [path, reason] : bad) {
    const CommandResult result = home.process({path});
    EXPECT_EQ(result.exit_code, 1) << path;
    EXPECT_THAT(result.out, IsEmpty());
    EXPECT_THAT(result.err, StartsWith("escribano: "));
    EXPECT_THAT(result.err, HasSubstr(path));
    EXPECT_THAT(result.err, HasSubstr(reason));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  EXPECT_FALSE(std::filesystem::exists(home.database())) << "nothing is stored about what cannot be opened";
}

TEST_F(ProcessCommand, OneBadRecordingDoesNotStopTheOthers) {
  const std::string good = cut_recording(home.folder(), 4).native();
  const CommandResult result = home.process({write("empty.mp4", ""), good, "--llm", "none"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("empty.mp4"));
  EXPECT_THAT(result.err, HasSubstr("first-4s.mp4: "));
  EXPECT_THAT(result.out, StartsWith("# "));
}

TEST_F(ProcessCommand, AnyNameOfAFileWillDo) {
  const std::filesystem::path good = cut_recording(home.folder(), 4);
  for (const std::string name : {"two words.mp4", "it's \"quoted\" $HOME `x`.mp4", "line\nbreak.mp4", "caf\xe9.mp4"}) {
    const std::filesystem::path path = home.folder() / name;
    std::filesystem::copy_file(good, path);
    const CommandResult result = home.process({path.native(), "--llm", "none"});
    EXPECT_EQ(result.exit_code, 0) << name << result.err;
  }
  const Json listed = Json::parse(home.run({"list", "--json"}).out);
  EXPECT_EQ(listed.at("recordings").size(), 1u) << "the same content under any name is one recording";
}

TEST_F(ProcessCommand, ADatabaseThatCannotBeUsedIsLeftAsItIs) {
  const std::string recording = cut_recording(home.folder(), 4).native();
  const std::string garbage(10'000, 'x');
  std::ofstream(home.database(), std::ios::binary) << garbage;
  const CommandResult result = home.process({recording});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr(home.database().native()));
  std::ifstream file(home.database(), std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_EQ(content.str(), garbage);
}

TEST_F(ProcessCommand, AFullDiskIsAnErrorAndTheNextRunGoesOn) {
  const std::string recording = cut_recording(home.folder(), 12).native();
  std::vector<std::string> arguments = {"/bin/bash", "-c", "ulimit -f 96; exec \"$0\" \"$@\"", escribano_program()};
  for (const std::string& argument : LibraryHome::process_arguments({recording, "--llm", "none"})) {
    arguments.push_back(argument);
  }
  const CommandResult full = run_command(arguments, home.options());
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_THAT(full.err, StartsWith("escribano: "));
  const CommandResult result = home.process({recording, "--llm", "none"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(ProcessCommand, AHomeThatCannotBeWrittenIsAnError) {
  const std::string recording = cut_recording(home.folder(), 4).native();
  CommandOptions options = home.options();
  options.environment["ESCRIBANO_HOME"] = write("file", "") + "/home";
  const CommandResult result = home.run(LibraryHome::process_arguments({recording, "--llm", "none"}), options);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr((home.folder() / "file").native()));
}

TEST_F(ProcessCommand, ConfigSaysWhereEachValueComesFrom) {
  std::ofstream(home.home() / "config.json") << R"({"exclude_apps": ["Messages"], "openai_api_key": "sk-secret"})";
  CommandOptions options = home.options();
  options.environment["ESCRIBANO_SAMPLE_INTERVAL"] = "5";
  const CommandResult text = home.run({"config"}, options);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, ::testing::ContainsRegex("sample_interval +5 +ESCRIBANO_SAMPLE_INTERVAL"));
  EXPECT_THAT(text.out, ::testing::ContainsRegex("min_segment_s +30 +default"));
  EXPECT_THAT(text.out, ::testing::ContainsRegex("exclude_apps +Messages +.*config.json"));
  EXPECT_THAT(text.out, Not(HasSubstr("sk-secret")));
  EXPECT_EQ(Json::parse(home.run({"config", "--json"}, options).out).at("schema"), 1);
  options.environment["ESCRIBANO_SAMPLE_INTERVAL"] = "0";
  const CommandResult bad = home.run({"config"}, options);
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("ESCRIBANO_SAMPLE_INTERVAL is '0'; it must be a number from 0.1 to 86400"));
}

}  // namespace
}  // namespace escribano
