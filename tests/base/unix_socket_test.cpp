#include "base/unix_socket.h"

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano {
namespace {

mode_t mode_of(const std::filesystem::path& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

std::ptrdiff_t files_in(const TempFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()), {});
}

// A listener that went away without removing its socket, as after kill -9.
void leave_dead_socket(const std::filesystem::path& path) {
  ASSERT_TRUE(listen_unix(path));
  ASSERT_TRUE(std::filesystem::is_socket(path));
}

FileDescriptor accept_within(const FileDescriptor& listener, int timeout_ms) {
  pollfd entry = {.fd = listener.get(), .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, timeout_ms) != 1) return {};
  auto accepted = accept_unix(listener);
  return accepted && *accepted ? std::move(**accepted) : FileDescriptor{};
}

TEST(ListenUnix, TheSocketIsPrivateWhateverTheUmask) {
  const TempFolder folder;
  const mode_t before = ::umask(0);
  const auto listener = listen_unix(folder.path() / "s");
  ::umask(before);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_EQ(mode_of(folder.path() / "s"), 0600u);
  EXPECT_EQ(files_in(folder), 1) << "a lock file stayed";
  EXPECT_NE(::fcntl(listener->get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(listener->get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(ListenUnix, APathThatIsTooLongIsRefusedWithBothNumbers) {
  const std::string path = "/tmp/" + std::string(200, 'x') + ".sock";
  const auto listener = listen_unix(path);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::invalid_argument);
  EXPECT_NE(listener.error().message.find("210 bytes"), std::string::npos) << listener.error().message;
  EXPECT_NE(listener.error().message.find(std::to_string(sizeof(sockaddr_un{}.sun_path) - 1)), std::string::npos);
  EXPECT_EQ(connect_unix(path).error().code, Errc::invalid_argument);
}

TEST(ListenUnix, TheLongestPathWorks) {
  const TempFolder folder;
  const std::string start = (folder.path() / "").native();
  const std::string path = start + std::string(sizeof(sockaddr_un{}.sun_path) - 1 - start.size(), 'x');
  const auto listener = listen_unix(path);
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_TRUE(connect_unix(path));
  EXPECT_EQ(listen_unix(path + "x").error().code, Errc::invalid_argument);
}

TEST(ListenUnix, ARegularFileInTheWayIsLeftAlone) {
  const TempFolder folder;
  const auto path = folder.path() / "s";
  ASSERT_TRUE(write_file_atomically(path, "precious"));
  const auto listener = listen_unix(path);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, Errc::io_error);
  EXPECT_NE(listener.error().message.find("already exists"), std::string::npos);
  EXPECT_EQ(read_text_file(path, 100).value(), "precious");
  EXPECT_TRUE(remove_dead_socket(path));
  EXPECT_EQ(read_text_file(path, 100).value(), "precious");
}

TEST(ListenUnix, ASymbolicLinkInTheWayIsLeftAlone) {
  const TempFolder folder;
  leave_dead_socket(folder.path() / "dead");
  std::filesystem::create_symlink(folder.path() / "dead", folder.path() / "s");
  EXPECT_FALSE(listen_unix(folder.path() / "s"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path() / "s"));
}

TEST(ListenUnix, ADeadSocketIsReplaced) {
  const TempFolder folder;
  leave_dead_socket(folder.path() / "s");
  EXPECT_EQ(connect_unix(folder.path() / "s").error().code, Errc::bridge_unavailable);
  const auto listener = listen_unix(folder.path() / "s");
  ASSERT_TRUE(listener) << listener.error().message;
  EXPECT_TRUE(connect_unix(folder.path() / "s"));
}

TEST(ListenUnix, ALiveSocketIsLeftAlone) {
  const TempFolder folder;
  const auto first = listen_unix(folder.path() / "s");
  ASSERT_TRUE(first);
  const auto second = listen_unix(folder.path() / "s");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::already_running);
  EXPECT_TRUE(remove_dead_socket(folder.path() / "s"));
  EXPECT_TRUE(connect_unix(folder.path() / "s"));
}

TEST(ListenUnix, NoFolderAndNoPermissionSaySo) {
  EXPECT_EQ(listen_unix("/nonexistent/s").error().code, Errc::not_found);
  if (::geteuid() != 0) {
    EXPECT_EQ(listen_unix("/s").error().code, Errc::not_permitted);
  }
}

// Each round: a dead socket, and several who find it at once. Exactly one may listen, and stay.
TEST(ListenUnix, OfManyWhoFindADeadSocketOneListens) {
  const TempFolder folder;
  const auto path = folder.path() / "s";
  for (int round = 0; round < 30; ++round) {
    leave_dead_socket(path);
    std::atomic<int> already_running = 0;
    std::vector<Result<FileDescriptor>> listeners(4);
    {
      std::vector<std::jthread> threads;
      for (auto& listener : listeners) {
        threads.emplace_back([&] {
          listener = listen_unix(path);
          if (!listener && listener.error().code == Errc::already_running) ++already_running;
        });
      }
    }
    EXPECT_EQ(already_running, 3);
    const auto connection = connect_unix(path);
    ASSERT_TRUE(connection) << connection.error().message;
    std::filesystem::remove(path);
  }
  EXPECT_EQ(files_in(folder), 0);
}

TEST(RemoveDeadSocket, RemovesNothingElse) {
  const TempFolder folder;
  leave_dead_socket(folder.path() / "s");
  EXPECT_TRUE(remove_dead_socket(folder.path() / "s"));
  EXPECT_EQ(files_in(folder), 0);
  EXPECT_TRUE(remove_dead_socket(folder.path() / "s"));
}

TEST(ConnectUnix, SaysWhatIsThereInstead) {
  const TempFolder folder;
  EXPECT_EQ(connect_unix(folder.path() / "s").error().code, Errc::not_found);
  ASSERT_TRUE(write_file_atomically(folder.path() / "s", ""));
  EXPECT_EQ(connect_unix(folder.path() / "s").error().code, Errc::bridge_unavailable);
}

TEST(ConnectUnix, AListenerThatTakesNobodyIsGivenUp) {
  const TempFolder folder;
  const auto listener = listen_unix(folder.path() / "s");
  ASSERT_TRUE(listener);
  std::vector<FileDescriptor> waiting;
  while (true) {
    auto connection = connect_unix(folder.path() / "s");
    if (!connection) {
      EXPECT_EQ(connection.error().code, Errc::bridge_unavailable);
      break;
    }
    waiting.push_back(*std::move(connection));
    ASSERT_LT(waiting.size(), 5000u);
  }
  EXPECT_EQ(listen_unix(folder.path() / "s").error().code, Errc::already_running) << "busy is not dead";
}

TEST(UnixSocket, CarriesBytesAndKnowsThePeer) {
  const TempFolder folder;
  const auto listener = listen_unix(folder.path() / "s");
  ASSERT_TRUE(listener);
  const auto none = accept_unix(*listener);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const auto client = connect_unix(folder.path() / "s");
  ASSERT_TRUE(client);
  const FileDescriptor server = accept_within(*listener, 20'000);
  ASSERT_TRUE(server);
  EXPECT_NE(::fcntl(server.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_TRUE(peer_is_same_user(server));
  EXPECT_TRUE(peer_is_same_user(*client));
  EXPECT_EQ(send_some(*client, "ping").value(), 4u);
  char bytes[8];
  EXPECT_EQ(::read(server.get(), bytes, sizeof bytes), 4);
}

TEST(SendSome, WritesNothingWhereThereIsNoRoomAndNeverRaisesASignal) {
  const TempFolder folder;
  const auto listener = listen_unix(folder.path() / "s");
  ASSERT_TRUE(listener);
  const auto client = connect_unix(folder.path() / "s");
  ASSERT_TRUE(client);
  FileDescriptor server = accept_within(*listener, 20'000);
  ASSERT_TRUE(server);
  const std::string chunk(1 << 16, 'x');
  std::size_t sent = 0;
  while (true) {
    const auto some = send_some(*client, chunk);
    ASSERT_TRUE(some);
    if (*some == 0) break;
    sent += *some;
    ASSERT_LT(sent, std::size_t{1} << 30);
  }
  EXPECT_GT(sent, 0u);
  server.reset();
  ASSERT_NE(std::signal(SIGPIPE, SIG_DFL), SIG_ERR);  // which would end this test
  const auto gone = send_some(*client, "x");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::io_error);
}

}  // namespace
}  // namespace escribano
