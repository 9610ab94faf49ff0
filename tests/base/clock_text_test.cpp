#include "base/clock_text.h"

#include <limits>

#include <gtest/gtest.h>

namespace escribano {
namespace {

TEST(ClockText, IsReadAsAClockIs) {
  EXPECT_EQ(clock_text(0), "0:00");
  EXPECT_EQ(clock_text(7.9), "0:07");
  EXPECT_EQ(clock_text(754), "12:34");
  EXPECT_EQ(clock_text(3599.5), "59:59");
  EXPECT_EQ(clock_text(3723), "1:02:03");
  EXPECT_EQ(clock_text(83.9999999), "1:24") << "a computed position";
}

TEST(ClockText, AnyNumberWillDo) {
  EXPECT_EQ(clock_text(-5), "0:00");
  EXPECT_EQ(clock_text(std::numeric_limits<double>::quiet_NaN()), "0:00");
  EXPECT_EQ(clock_text(std::numeric_limits<double>::infinity()), "0:00");
  EXPECT_FALSE(clock_text(1e300).empty());
}

}  // namespace
}  // namespace escribano
