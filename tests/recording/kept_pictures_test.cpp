#include "recording/kept_pictures.h"

#include <gtest/gtest.h>

namespace escribano::recording {
namespace {

using Bytes = std::vector<std::byte>;

TEST(KeptPictures, AreGivenOnce) {
  KeptPictures kept(100);
  kept.keep(1000, Bytes(10, std::byte{1}));
  EXPECT_FALSE(kept.take(2000));
  EXPECT_EQ(kept.take(1000), Bytes(10, std::byte{1}));
  EXPECT_FALSE(kept.take(1000));
}

TEST(KeptPictures, AreTheFirstOnesUpToTheLimit) {
  KeptPictures kept(100);
  kept.keep(1000, Bytes(60));
  kept.keep(2000, Bytes(40));
  EXPECT_TRUE(kept.has_room());
  kept.keep(3000, Bytes(1));
  EXPECT_FALSE(kept.has_room());
  kept.take(1000);
  kept.keep(4000, Bytes(1));
  EXPECT_TRUE(kept.take(2000));
  EXPECT_FALSE(kept.take(3000));
  EXPECT_FALSE(kept.take(4000));
}

TEST(KeptPictures, WithoutALimitThereAreNone) {
  KeptPictures kept;
  EXPECT_FALSE(kept.has_room());
  kept.keep(1000, Bytes(1));
  EXPECT_FALSE(kept.take(1000));
}

}  // namespace
}  // namespace escribano::recording
