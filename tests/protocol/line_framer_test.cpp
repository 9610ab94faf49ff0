#include "protocol/line_framer.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace escribano::protocol {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// All lines there are now; "!" stands for a failure.
std::vector<std::string> drain(LineFramer& framer) {
  std::vector<std::string> lines;
  while (true) {
    const auto line = framer.next();
    if (!line) {
      EXPECT_EQ(line.error().code, Errc::too_large);
      lines.emplace_back("!");
      return lines;
    }
    if (!*line) return lines;
    lines.emplace_back(**line);
  }
}

std::vector<std::string> lines_of(std::string_view bytes, std::size_t max = kMaxLineBytes) {
  LineFramer framer(max);
  framer.append(bytes);
  return drain(framer);
}

TEST(LineFramer, CutsAtLineFeedsAndDropsCarriageReturnsAndEmptyLines) {
  EXPECT_THAT(lines_of("one\ntwo\r\n\n\r\nthree\r\r\n four \nrest"), ElementsAre("one", "two", "three\r", " four "));
  EXPECT_THAT(lines_of(""), IsEmpty());
  EXPECT_THAT(lines_of("\n\r\n\n"), IsEmpty());
}

TEST(LineFramer, GivesTheSameLinesHoweverTheBytesWereCut) {
  const std::string bytes = "{\"id\":1}\n\xC3\xA9\xF0\x9F\x98\x80\r\n\n\xFF\xFE\nlast\n";
  const std::vector<std::string> whole = lines_of(bytes);
  ASSERT_EQ(whole.size(), 4U);
  for (std::size_t first = 0; first <= bytes.size(); ++first) {
    for (std::size_t second = first; second <= bytes.size(); ++second) {
      LineFramer framer;
      std::vector<std::string> lines;
      for (const std::string& part :
           {bytes.substr(0, first), bytes.substr(first, second - first), bytes.substr(second)}) {
        framer.append(part);
        for (std::string& line : drain(framer)) lines.push_back(std::move(line));
      }
      EXPECT_EQ(lines, whole) << first << " " << second;
    }
  }
}

TEST(LineFramer, TakesALineOfTheLongestLengthAndNotOneByteMore) {
  EXPECT_THAT(lines_of("1234\n", 4), ElementsAre("1234"));
  EXPECT_THAT(lines_of("1234", 4), IsEmpty());
  EXPECT_THAT(lines_of("ok\n12345\nlost\n", 4), ElementsAre("ok", "!"));
  EXPECT_THAT(lines_of("12345", 4), ElementsAre("!"));
  EXPECT_THAT(lines_of("1234\r\n", 4), ElementsAre("!"));
}

TEST(LineFramer, StaysFailed) {
  LineFramer framer(4);
  framer.append("12345");
  EXPECT_THAT(drain(framer), ElementsAre("!"));
  framer.append("\nok\n");
  EXPECT_THAT(drain(framer), ElementsAre("!"));
}

TEST(LineFramer, ALineMayComeInSmallPieces) {
  LineFramer framer;
  const std::string part(97, 'x');
  std::size_t sent = 0;
  for (; sent + part.size() <= kMaxLineBytes; sent += part.size()) {
    framer.append(part);
    ASSERT_FALSE(*framer.next());  // nothing is searched twice, or this takes minutes
  }
  framer.append("\nnext\n");
  EXPECT_EQ((**framer.next()).size(), sent);
  EXPECT_EQ(**framer.next(), "next");
}

TEST(LineFramer, ManyLinesInOneReadAreNotMovedForEachOfThem) {
  LineFramer framer;
  std::string bytes;
  const std::size_t count = 1'000'000;
  for (std::size_t i = 0; i < count; ++i) bytes += "{}\n";
  framer.append(bytes);
  std::size_t lines = 0;
  while (*framer.next()) {
    ++lines;
    framer.append("");
  }
  EXPECT_EQ(lines, count);
}

}  // namespace
}  // namespace escribano::protocol
