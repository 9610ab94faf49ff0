#include "engine/core/embedding_cache.h"

#include <gtest/gtest.h>

namespace escribano::engine {
namespace {

std::shared_ptr<const ImageEmbedding> embedding(std::size_t floats) {
  return std::make_shared<const ImageEmbedding>(ImageEmbedding{.values = std::vector<float>(floats)});
}

TEST(EmbeddingCache, GivesBackWhatWasPutUnderTheSamePixels) {
  EmbeddingCache cache(1000);
  const auto value = embedding(10);
  cache.insert({1, 2}, value);
  EXPECT_EQ(cache.find({1, 2}), value);
  EXPECT_EQ(cache.find({1, 3}), nullptr);
  EXPECT_EQ(cache.find({2, 2}), nullptr);
}

TEST(EmbeddingCache, ForgetsTheLeastRecentlyUsedBeyondItsLimit) {
  EmbeddingCache cache(2 * 10 * sizeof(float));
  cache.insert({0, 1}, embedding(10));
  cache.insert({0, 2}, embedding(10));
  EXPECT_NE(cache.find({0, 1}), nullptr);
  cache.insert({0, 3}, embedding(10));
  EXPECT_NE(cache.find({0, 1}), nullptr);
  EXPECT_EQ(cache.find({0, 2}), nullptr);
  EXPECT_EQ(cache.size_bytes(), 2 * 10 * sizeof(float));
}

TEST(EmbeddingCache, RefusesWhatIsLargerThanItself) {
  EmbeddingCache cache(8);
  cache.insert({0, 1}, embedding(10));
  EXPECT_EQ(cache.find({0, 1}), nullptr);
  EXPECT_EQ(cache.size_bytes(), 0u);
}

}  // namespace
}  // namespace escribano::engine
