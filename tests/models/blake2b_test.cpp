#include "models/blake2b.h"

#include <string>

#include <gtest/gtest.h>

namespace escribano::models {
namespace {

std::string digest(std::string_view text) {
  Blake2b hash;
  hash.update(text);
  return hash.hex_digest();
}

// Values of Python's hashlib.blake2b(..., digest_size=32).
TEST(Blake2b, MatchesAnotherImplementation) {
  EXPECT_EQ(digest(""), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_EQ(digest("abc"), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
  EXPECT_EQ(digest(std::string(127, 'x')), "32afe327aece2cc8275e868be2ea929410f47bcfbac87d8197d92c972a290d3d");
  EXPECT_EQ(digest(std::string(128, 'x')), "164ffb7089bae6f5a62fb0795e751dc9e88eac92e1a5b2fafe93a25abf2d9c3b");
  EXPECT_EQ(digest(std::string(129, 'x')), "03b0758fa71d249c846c2304a2b9996e6ae66ffa7e5528f9e612e089a360fc8d");
  EXPECT_EQ(digest(std::string(1000, 'x')), "ab75119ede14ef06ebf31f745fb655ed006cccfe8054c635308a557f7c9beaba");
}

TEST(Blake2b, DoesNotDependOnHowTheInputIsCut) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
  const std::string whole = digest(text);
  for (const std::size_t piece : {1u, 63u, 64u, 127u, 128u, 129u, 256u, 500u}) {
    Blake2b hash;
    for (std::size_t at = 0; at < text.size(); at += piece) hash.update(std::string_view(text).substr(at, piece));
    EXPECT_EQ(hash.hex_digest(), whole) << piece;
  }
}

}  // namespace
}  // namespace escribano::models
