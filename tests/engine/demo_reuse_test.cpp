// What is made use of from earlier frames changes no text: answers given again, embeddings kept in memory and on the disk, each
// switched on and off.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/demo_model.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

struct Described {
  std::vector<std::string> texts;
  std::vector<Reuse> reused;
};

// Three frames, some of them again, in one request with two slots.
Described describe_with(const EngineOptions& options) {
  const std::vector<std::filesystem::path> frames = sample_frames();
  DescribeRequest request;
  for (const std::size_t i : {0U, 9U, 0U, 20U, 9U}) request.frames.push_back({.path = frames.at(i)});
  Described all;
  for (const FrameResult& result : describe(*start_demo_engine(2, 1024, options), std::move(request))) {
    all.texts.push_back(result.raw);
    all.reused.push_back(result.stats.reused);
  }
  return all;
}

std::size_t count(const Described& all, Reuse kind) {
  return static_cast<std::size_t>(std::count(all.reused.begin(), all.reused.end(), kind));
}

TEST(DemoReuse, TextsAreTheSameWithEveryKindOfReuseSwitchedOnAndOff) {
  const TempFolder folder;
  EngineOptions options;
  options.answer_cache_bytes = options.embedding_cache_bytes = 0;
  const Described none = describe_with(options);
  ASSERT_EQ(none.texts.size(), 5u);
  EXPECT_EQ(count(none, Reuse::none), 5u);
  EXPECT_NE(none.texts[0], none.texts[1]);

  options.embedding_cache_bytes = 64 << 20;
  const Described embeddings = describe_with(options);
  EXPECT_EQ(count(embeddings, Reuse::cache), 2u);
  EXPECT_EQ(embeddings.texts, none.texts);

  options.embedding_folder = {.path = folder.path() / "embeddings", .identity = "demo", .limit_bytes = 64 << 20};
  options.answer_cache_bytes = 1 << 20;
  const Described answers = describe_with(options);
  EXPECT_EQ(count(answers, Reuse::duplicate), 2u);
  EXPECT_EQ(answers.texts, none.texts);

  options.answer_cache_bytes = 0;
  const Described restarted = describe_with(options);
  EXPECT_EQ(count(restarted, Reuse::cache), 5u) << "the vision tower has nothing to do";
  EXPECT_EQ(restarted.texts, none.texts);
}

}  // namespace
}  // namespace escribano::engine
