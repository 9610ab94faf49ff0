#include "base/subprocess.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano {
namespace {

using testing::HasSubstr;

constexpr std::chrono::seconds kPatience{60};

Result<Subprocess> start_shell(const std::string& script, std::map<std::string, std::string> environment = {}) {
  return Subprocess::start({.arguments = {"sh", "-c", script}, .environment = std::move(environment)});
}

// All that comes until the other side closes.
std::string read_all(const FileDescriptor& fd) {
  std::string text;
  while (true) {
    pollfd entry = {.fd = fd.get(), .events = POLLIN, .revents = 0};
    if (::poll(&entry, 1, 60'000) != 1) return text + " (and then nothing)";
    char bytes[4096];
    const ssize_t got = ::read(fd.get(), bytes, sizeof bytes);
    if (got <= 0) return text;
    text.append(bytes, static_cast<std::size_t>(got));
  }
}

std::string output_of(const std::string& script, std::map<std::string, std::string> environment = {}) {
  auto child = start_shell(script, std::move(environment));
  if (!child) return child.error().message;
  return read_all(child->out);
}

bool has_children() {
  int status = 0;
  return ::waitpid(-1, &status, WNOHANG) != -1 || errno != ECHILD;
}

std::ptrdiff_t open_descriptors() { return std::distance(std::filesystem::directory_iterator("/dev/fd"), {}); }

TEST(Subprocess, HasPipesAtItsStandardStreams) {
  auto child = start_shell("cat; echo problem >&2; exit 3");
  ASSERT_TRUE(child) << child.error().message;
  EXPECT_GT(child->pid(), 0);
  EXPECT_EQ(::write(child->in.get(), "hello", 5), 5);
  child->in.reset();
  EXPECT_EQ(read_all(child->out), "hello");
  EXPECT_EQ(read_all(child->err), "problem\n");
  ASSERT_TRUE(child->wait(kPatience));
  EXPECT_EQ(child->ended(), "exited with status 3");
  EXPECT_EQ(child->ended(), "exited with status 3");
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, WhatEndedItIsSaid) {
  auto child = start_shell("kill -9 $$");
  ASSERT_TRUE(child);
  ASSERT_TRUE(child->wait(kPatience));
  EXPECT_EQ(child->ended(), "was killed by signal 9");
}

TEST(Subprocess, ItsEnvironmentIsOursWithTheChanges) {
  ASSERT_EQ(::setenv("ESCRIBANO_TEST_KEPT", "kept", 1), 0);
  ASSERT_EQ(::setenv("ESCRIBANO_TEST_CHANGED", "old", 1), 0);
  EXPECT_EQ(output_of("echo $ESCRIBANO_TEST_KEPT,$ESCRIBANO_TEST_CHANGED,$ESCRIBANO_TEST_NEW",
                      {{"ESCRIBANO_TEST_CHANGED", "new = value"}, {"ESCRIBANO_TEST_NEW", "1"}}),
            "kept,new = value,1\n");
  EXPECT_EQ(output_of("env | grep -c ^ESCRIBANO_TEST_CHANGED=", {{"ESCRIBANO_TEST_CHANGED", "new"}}), "1\n");
  ::unsetenv("ESCRIBANO_TEST_KEPT");
  ::unsetenv("ESCRIBANO_TEST_CHANGED");
}

TEST(Subprocess, AProgramThatIsNotThereIsAnErrorOfStart) {
  const std::ptrdiff_t before = open_descriptors();
  EXPECT_EQ(Subprocess::start({.arguments = {"no-such-program-of-escribano"}}).error().code, Errc::not_found);
  EXPECT_EQ(Subprocess::start({.arguments = {"/nonexistent/program"}}).error().code, Errc::not_found);
  EXPECT_EQ(Subprocess::start({.arguments = {"/"}}).error().code, Errc::not_permitted);
  EXPECT_EQ(Subprocess::start({.arguments = {}}).error().code, Errc::invalid_argument);
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder.path() / "text", "no program"));
  const auto text = Subprocess::start({.arguments = {folder.path() / "text"}});
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Errc::not_permitted);
  EXPECT_THAT(text.error().message, HasSubstr((folder.path() / "text").native()));
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, InheritsNoDescriptorEvenIfItIsNotCloseOnExec) {
  const FileDescriptor open_to_all(::open("/dev/null", O_RDONLY));
  ASSERT_GT(open_to_all.get(), 2);
  EXPECT_EQ(output_of("ls /dev/fd/" + std::to_string(open_to_all.get()) + " 2>/dev/null; echo end"), "end\n");
}

TEST(Subprocess, BeginsWithDefaultSignals) {
  ASSERT_NE(std::signal(SIGTERM, SIG_IGN), SIG_ERR);
  ASSERT_NE(std::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  auto child = Subprocess::start({.arguments = {"sleep", "1000"}});
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(child);
  child->stop(kPatience);
  EXPECT_EQ(child->ended(), "was killed by signal 15");
}

TEST(Subprocess, LeadsAProcessGroupOfItsOwn) {
  auto child = Subprocess::start({.arguments = {"sleep", "1000"}});
  ASSERT_TRUE(child);
  EXPECT_EQ(::getpgid(child->pid()), child->pid());
}

TEST(Subprocess, WhoIgnoresSigtermIsKilled) {
  auto child = start_shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
  ASSERT_TRUE(child);
  char bytes[16];
  pollfd entry = {.fd = child->out.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&entry, 1, 60'000), 1);
  ASSERT_GT(::read(child->out.get(), bytes, sizeof bytes), 0);
  const pid_t group = child->pid();
  child->stop(std::chrono::milliseconds(50));
  EXPECT_EQ(child->ended(), "was killed by signal 9");
  ::kill(-group, SIGKILL);  // the sleep
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, WaitGivesUpInTime) {
  auto child = Subprocess::start({.arguments = {"sleep", "1000"}});
  ASSERT_TRUE(child);
  EXPECT_FALSE(child->wait(std::chrono::milliseconds(20)));
  EXPECT_FALSE(child->ended());
}

TEST(Subprocess, TheDestructorLeavesNoZombieAndNoDescriptor) {
  const std::ptrdiff_t before = open_descriptors();
  pid_t pid = 0;
  {
    auto child = Subprocess::start({.arguments = {"sleep", "1000"}});
    ASSERT_TRUE(child);
    pid = child->pid();
    auto moved = *std::move(child);
    auto other = Subprocess::start({.arguments = {"sleep", "1000"}});
    ASSERT_TRUE(other);
    moved = *std::move(other);  // ends the first
    EXPECT_NE(::kill(pid, 0), 0);
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Subprocess, WhoIsLeftLivesOnAndIsReapedLater) {
  pid_t pid = 0;
  {
    auto child = start_shell("read line");
    ASSERT_TRUE(child);
    pid = child->pid();
    child->leave();  // closes its standard input: it ends by itself
  }
  siginfo_t info = {};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0) << "it was not left";
  EXPECT_EQ(info.si_code, CLD_EXITED);
  { ASSERT_TRUE(start_shell("exit 0")); }
  EXPECT_FALSE(has_children());
}

TEST(Subprocess, ManyThreadsMayStartThemAtOnce) {
  const std::ptrdiff_t before = open_descriptors();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([i] {
        for (int round = 0; round < 10; ++round) {
          const std::string text = std::to_string(i * 100 + round);
          // An end of a pipe that another child inherited would keep read_all() waiting.
          EXPECT_EQ(output_of("echo " + text), text + "\n");
        }
      });
    }
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace escribano
