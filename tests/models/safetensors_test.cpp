#include "models/safetensors.h"

#include <filesystem>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/tiny_model.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

using testing::HasSubstr;

Result<SafetensorsHeader> parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "weights");
}

Result<SafetensorsHeader> parse_header(std::string_view header, std::size_t data_bytes) {
  return parse(safetensors_bytes(header, std::string(data_bytes, 'x')));
}

TEST(Safetensors, ReadsShapesTypesAndOffsets) {
  const auto header = parse_header(
      R"({"b":{"dtype":"F32","shape":[2],"data_offsets":[6,14]},"a":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]},
          "s":{"dtype":"I64","shape":[],"data_offsets":[14,22]},"__metadata__":{"format":"pt"}})",
      22);
  ASSERT_TRUE(header) << header.error().message;
  ASSERT_EQ(header->tensors.size(), 3u);
  EXPECT_EQ(header->tensors[0].name, "a");
  EXPECT_EQ(header->tensors[0].dtype, Dtype::bf16);
  EXPECT_EQ(header->tensors[0].shape, (std::vector<std::uint64_t>{3, 1}));
  EXPECT_EQ(header->tensors[1].begin, header->tensors[0].begin + 6);
  EXPECT_EQ(header->tensors[2].dtype, Dtype::other);
  EXPECT_EQ(header->tensors[2].size_bytes, 8u);
  EXPECT_EQ(header->metadata.at("format"), "pt");
}

TEST(Safetensors, AcceptsAnEmptyTensorBetweenOthers) {
  EXPECT_TRUE(parse_header(R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
      "e":{"dtype":"F16","shape":[0,7],"data_offsets":[2,2]},"b":{"dtype":"F16","shape":[1],"data_offsets":[2,4]}})",
                           4));
}

struct BadHeader {
  const char* title;
  const char* header;
  std::size_t data_bytes;
  Errc code;
  const char* message;

  friend void PrintTo(const BadHeader& bad, std::ostream* out) { *out << bad.title; }
};

class SafetensorsRefuses : public testing::TestWithParam<BadHeader> {};

TEST_P(SafetensorsRefuses, TheHeader) {
  const auto result = parse_header(GetParam().header, GetParam().data_bytes);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, GetParam().code) << result.error().message;
  EXPECT_THAT(result.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, SafetensorsRefuses,
    testing::Values(
        BadHeader{"NotJson", "{]", 0, Errc::corrupt, "JSON"},
        BadHeader{"NotAnObject", "[]", 0, Errc::corrupt, "object"},
        BadHeader{"ListInsteadOfTensor", R"({"a":[]})", 0, Errc::corrupt, "tensor a"},
        BadHeader{"UnknownType", R"({"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,1]}})", 1, Errc::unsupported,
                  "Q9"},
        BadHeader{"NoType", R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, Errc::corrupt, "dtype"},
        BadHeader{"NegativeExtent", R"({"a":{"dtype":"F16","shape":[-1],"data_offsets":[0,2]}})", 2, Errc::corrupt,
                  "whole numbers"},
        BadHeader{"FractionalExtent", R"({"a":{"dtype":"F16","shape":[1.5],"data_offsets":[0,3]}})", 3, Errc::corrupt,
                  "whole numbers"},
        BadHeader{"TooManyDimensions", R"({"a":{"dtype":"F16","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,2]}})", 2,
                  Errc::corrupt, "shape"},
        BadHeader{"ShapeOverflows", R"({"a":{"dtype":"F16","shape":[4294967296,4294967296,2],"data_offsets":[0,0]}})",
                  0, Errc::corrupt, "shape"},
        BadHeader{"SizeIsNotShapeTimesType", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
                  Errc::corrupt, "4 bytes"},
        BadHeader{"EndBeforeBegin", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[4,2]}})", 4, Errc::corrupt,
                  "ends before it begins"},
        BadHeader{"OffsetsOverflow",
                  R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[18446744073709551614,18446744073709551616]}})", 2,
                  Errc::corrupt, "data_offsets"},
        BadHeader{"OffsetsNearTheLimit",
                  R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[18446744073709551613,18446744073709551615]}})", 2,
                  Errc::corrupt, "cut off"},
        BadHeader{"PastTheEnd", R"({"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}})", 5, Errc::corrupt,
                  "3 bytes past the end"},
        BadHeader{"Overlap", R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
                                 "b":{"dtype":"F16","shape":[2],"data_offsets":[2,6]}})",
                  6, Errc::corrupt, "overlaps"},
        BadHeader{"Hole", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
                              "b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}})",
                  6, Errc::corrupt, "belong to no tensor"},
        BadHeader{"TrailingBytes", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", 9, Errc::corrupt,
                  "7 bytes at the end"},
        BadHeader{"SameNameTwice", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
                                       "a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
                  2, Errc::corrupt, "twice"},
        BadHeader{"ThreeOffsets", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2,2]}})", 2, Errc::corrupt,
                  "data_offsets"},
        BadHeader{"MetadataNotStrings", R"({"__metadata__":{"a":1}})", 0, Errc::corrupt, "__metadata__"}),
    [](const auto& case_info) { return case_info.param.title; });

TEST(Safetensors, RefusesDeepNestingWithoutRecursingIntoIt) {
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  const auto result = parse_header(R"({"__metadata__":)" + deep + "}", 0);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("nests deeper"));
}

TEST(Safetensors, RefusesAHeaderLongerThanTheFile) {
  std::string bytes = safetensors_bytes("{}", "");
  bytes[6] = '\x7f';
  const auto result = parse(bytes);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message, HasSubstr("cut off"));
}

TEST(Safetensors, RefusesAHeaderBeyondTheLimit) {
  const auto result = parse_header(std::string(max_safetensors_header_bytes + 1, ' '), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::too_large);
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string whole = safetensors_bytes(
      R"({"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]}})",
      "123456");
  ASSERT_TRUE(parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto result = parse(whole.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, Errc::corrupt) << size;
  }
}

class SafetensorsFolderTest : public testing::Test {
 protected:
  void write_index(const std::string& text) { write_bytes(folder_.path() / "model.safetensors.index.json", text); }
  void write_shard(const std::string& name, const std::string& tensor) {
    write_bytes(folder_.path() / name,
                safetensors_bytes("{\"" + tensor + R"(":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})", "12"));
  }
  Error open_error() {
    auto result = SafetensorsFolder::open(folder_.path());
    return result ? Error{Errc::internal, "no error"} : result.error();
  }
  TempFolder folder_;
};

TEST_F(SafetensorsFolderTest, FindsTensorsInTheirShards) {
  write_shard("one.safetensors", "a");
  write_shard("two.safetensors", "b");
  write_index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const auto folder = SafetensorsFolder::open(folder_.path());
  ASSERT_TRUE(folder) << folder.error().message;
  ASSERT_EQ(folder->tensors().size(), 2u);
  const auto& b = folder->tensors().at("b");
  EXPECT_EQ(folder->shards()[b.shard].file_name, "two.safetensors");
  EXPECT_EQ(folder->data(b)[1], std::byte{'2'});
}

TEST_F(SafetensorsFolderTest, NamesWhatIsMissingWhenThereAreNoWeights) {
  EXPECT_EQ(open_error().code, Errc::not_found);
  EXPECT_THAT(open_error().message, HasSubstr("model.safetensors"));
}

TEST_F(SafetensorsFolderTest, NamesAMissingShard) {
  write_shard("one.safetensors", "a");
  write_index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_EQ(open_error().code, Errc::not_found);
  EXPECT_THAT(open_error().message, HasSubstr("two.safetensors"));
}

TEST_F(SafetensorsFolderTest, RefusesShardNamesThatLeaveTheFolder) {
  for (const std::string name : {"../one.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\\\\b"}) {
    write_index(R"({"weight_map":{"a":")" + name + "\"}}");
    EXPECT_EQ(open_error().code, Errc::corrupt) << name;
    EXPECT_THAT(open_error().message, HasSubstr("same folder")) << name;
  }
}

TEST_F(SafetensorsFolderTest, RefusesATensorThatItsShardDoesNotHold) {
  write_shard("one.safetensors", "a");
  write_index(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})");
  EXPECT_THAT(open_error().message, HasSubstr("tensor b"));
}

TEST_F(SafetensorsFolderTest, RefusesATensorThatAnotherShardHolds) {
  write_shard("one.safetensors", "a");
  write_shard("two.safetensors", "b");
  write_index(R"({"weight_map":{"a":"two.safetensors","b":"two.safetensors","c":"one.safetensors"}})");
  EXPECT_EQ(open_error().code, Errc::corrupt);
  EXPECT_THAT(open_error().message, HasSubstr("two.safetensors holds tensor a, but it does not"));
}

TEST_F(SafetensorsFolderTest, RefusesATensorThatIsListedTwice) {
  write_shard("one.safetensors", "a");
  write_index(R"({"weight_map":{"a":"one.safetensors","a":"one.safetensors"}})");
  EXPECT_EQ(open_error().code, Errc::corrupt);
  EXPECT_THAT(open_error().message, HasSubstr("twice"));
}

TEST_F(SafetensorsFolderTest, RefusesATensorInTwoShards) {
  write_shard("one.safetensors", "a");
  write_shard("two.safetensors", "a");
  write_index(R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_THAT(open_error().message, HasSubstr("both"));
}

TEST_F(SafetensorsFolderTest, RefusesAnIndexWithoutAMap) {
  for (const char* text :
       {"{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})", ""}) {
    write_index(text);
    EXPECT_EQ(open_error().code, Errc::corrupt) << text;
  }
}

}  // namespace
}  // namespace escribano::models
