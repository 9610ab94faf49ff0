#include "base/signals.h"

#include <csignal>
#include <future>

#include <gtest/gtest.h>

namespace escribano {
namespace {

TEST(SignalWatcher, TellsItsThreadAndRestoresTheDefault) {
  std::promise<int> caught;
  {
    const auto watcher = SignalWatcher::start({SIGUSR1}, [&](int signal) { caught.set_value(signal); });
    ASSERT_TRUE(watcher);
    ::raise(SIGUSR1);
    std::future<int> signal = caught.get_future();
    ASSERT_EQ(signal.wait_for(std::chrono::seconds(20)), std::future_status::ready);
    EXPECT_EQ(signal.get(), SIGUSR1);
  }
  struct sigaction action = {};
  ::sigaction(SIGUSR1, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

TEST(SignalWatcher, EndsWithoutASignal) {
  EXPECT_TRUE(SignalWatcher::start({SIGUSR1}, [](int) {}));
}

}  // namespace
}  // namespace escribano
