#include "base/wake_pipe.h"

#include <fcntl.h>
#include <poll.h>

#include <gtest/gtest.h>

namespace escribano {
namespace {

bool can_be_read(const WakePipe& pipe, int timeout_ms) {
  pollfd entry = {.fd = pipe.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

TEST(WakePipe, WakesUntilItIsDrained) {
  const auto pipe = WakePipe::make();
  ASSERT_TRUE(pipe);
  EXPECT_FALSE(can_be_read(*pipe, 0));
  pipe->wake();
  pipe->wake();
  EXPECT_TRUE(can_be_read(*pipe, 0));
  EXPECT_TRUE(can_be_read(*pipe, 0));
  pipe->drain();
  EXPECT_FALSE(can_be_read(*pipe, 0));
}

TEST(WakePipe, NeverBlocksHoweverOftenItIsWoken) {
  const auto pipe = WakePipe::make();
  ASSERT_TRUE(pipe);
  for (int i = 0; i < 200'000; ++i) pipe->wake();  // more than a pipe holds
  EXPECT_TRUE(can_be_read(*pipe, 0));
  pipe->drain();
  EXPECT_FALSE(can_be_read(*pipe, 0));
}

TEST(WakePipe, IsNotInheritedByOtherPrograms) {
  const auto pipe = WakePipe::make();
  ASSERT_TRUE(pipe);
  EXPECT_NE(::fcntl(pipe->fd(), F_GETFD) & FD_CLOEXEC, 0);
}

}  // namespace
}  // namespace escribano
