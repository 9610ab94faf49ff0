#include "base/base64.h"

#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace escribano {
namespace {

std::string base64(std::string_view text) { return to_base64(std::as_bytes(std::span(text))); }

TEST(Base64, TheVectorsOfTheStandardComeOut) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
}

}  // namespace
}  // namespace escribano
