#include "hub/segment_journal.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_folder.h"

namespace escribano::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using Segment = SegmentJournal::Segment;

class Journal : public ::testing::Test {
 protected:
  fs::path data() const { return folder_.path() / "data"; }
  fs::path journal() const { return folder_.path() / "journal"; }
  Result<SegmentJournal> open(std::string hash = "h") const {
    return SegmentJournal::open(data(), journal(), {.size = 10, .hash = std::move(hash), .segment_bytes = 4});
  }
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
  std::string text_of(const fs::path& path) const { return read_text_file(path, 1000).value(); }

  TempFolder folder_;
};

TEST_F(Journal, RemembersEachByteThatWasWritten) {
  {
    SegmentJournal first = open().value();
    EXPECT_FALSE(first.is_resumed());
    ASSERT_TRUE(first.write(1, "ef"));
    ASSERT_TRUE(first.write(0, "abcd"));
    ASSERT_TRUE(first.write(1, "g"));
    EXPECT_FALSE(first.write(1, "hi"));
  }
  SegmentJournal second = open().value();
  EXPECT_TRUE(second.is_resumed());
  EXPECT_THAT(second.segments(), ElementsAre(Segment{0, 4, 4}, Segment{4, 4, 3}, Segment{8, 2, 0}));
  ASSERT_TRUE(second.write(1, "h"));
  ASSERT_TRUE(second.write(2, "ij"));
  EXPECT_TRUE(second.is_complete());
  EXPECT_EQ(text_of(data()), "abcdefghij");
  ASSERT_TRUE(second.set_checked());
  EXPECT_TRUE(open().value().is_checked());
}

TEST_F(Journal, OfOtherContentStartsAnew) {
  ASSERT_TRUE(open().value().write(0, "abcd"));
  const SegmentJournal other = open("other").value();
  EXPECT_EQ(other.done_bytes(), 0U);
  EXPECT_FALSE(other.is_resumed());
  EXPECT_EQ(text_of(data()), "");
}

TEST_F(Journal, ThatIsBrokenOrAloneStartsAnew) {
  for (const std::string& end : {std::string(), std::string("x"), std::string(1000, '9')}) {
    ASSERT_TRUE(open().value().write(0, "abcd"));
    write(journal(), text_of(journal()).substr(0, 40) + end);
    EXPECT_EQ(open().value().done_bytes(), 0U);
  }
  ASSERT_TRUE(open().value().write(0, "abcd"));
  fs::remove(data());
  EXPECT_EQ(open().value().done_bytes(), 0U);
  bool checked = false;
  const SegmentJournal::Content content = {.size = 4, .hash = "h", .segment_bytes = 4};
  EXPECT_TRUE(SegmentJournal::parse("escribano-pull 1 4 h 4 partial\n00000000000000000004\n", content, &checked));
  EXPECT_FALSE(SegmentJournal::parse("escribano-pull 1 4 h 4 partial\n00000000000000000005\n", content, &checked));
  EXPECT_FALSE(SegmentJournal::parse("escribano-pull 1 4 h 4 partial\n-0000000000000000001\n", content, &checked));
}

TEST_F(Journal, NeverWritesThroughALink) {
  const fs::path victim = folder_.path() / "victim";
  write(victim, "precious");
  fs::create_symlink(victim, data());
  ASSERT_TRUE(open().value().write(0, "abcd"));
  EXPECT_EQ(text_of(victim), "precious");
  fs::remove(data());
  fs::create_symlink(victim, data());
  ASSERT_TRUE(open().value().write(0, "abcd"));
  EXPECT_EQ(text_of(victim), "precious");
}

TEST_F(Journal, TakesOverAFileAndLeavesItAloneAfterwards) {
  const fs::path source = folder_.path() / "source";
  write(source, "0123456789");
  SegmentJournal adopted =
      SegmentJournal::adopt(source, data(), journal(), {.size = 10, .hash = "h", .segment_bytes = 4}).value();
  EXPECT_TRUE(adopted.is_complete() && adopted.is_resumed());
  ASSERT_TRUE(adopted.restart(false));
  ASSERT_TRUE(adopted.write(0, "abcd"));
  EXPECT_EQ(text_of(source), "0123456789");
}

TEST_F(Journal, ReadsAServerWithoutRangesInOnePiece) {
  SegmentJournal file = open().value();
  ASSERT_TRUE(file.restart(true));
  ASSERT_TRUE(file.write(0, "abcdefg"));
  EXPECT_THAT(open().value().segments(), ElementsAre(Segment{0, 10, 7}));
}

}  // namespace
}  // namespace escribano::hub
