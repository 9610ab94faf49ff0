#include "base/queue.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace escribano {
namespace {

TEST(BoundedQueue, KeepsTheOrderBetweenThreadsWhileItIsFullMostOfTheTime) {
  BoundedQueue<int> queue(2);
  std::jthread producer([&] {
    for (int i = 0; i < 1000; ++i) queue.push(i);
    queue.close();
  });
  int expected = 0;
  while (const auto value = queue.pop()) EXPECT_EQ(*value, expected++);
  EXPECT_EQ(expected, 1000);
}

TEST(BoundedQueue, ClosingWakesAProducerThatWaitsForRoom) {
  BoundedQueue<int> queue(1);
  ASSERT_TRUE(queue.push(1));
  bool pushed = true;
  std::jthread producer([&] { pushed = queue.push(2); });
  queue.close();
  producer.join();
  EXPECT_FALSE(pushed);
  EXPECT_EQ(queue.pop(), 1) << "what was in it is still delivered";
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, ClosingWakesAConsumerThatWaitsForSomething) {
  BoundedQueue<int> queue(1);
  std::jthread consumer([&] { EXPECT_EQ(queue.pop(), std::nullopt); });
  queue.close();
}

}  // namespace
}  // namespace escribano
