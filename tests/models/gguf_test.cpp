#include "models/gguf.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/gguf_writer.h"
#include "models/tiny_model.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

using testing::HasSubstr;

Result<GgufHeader> parse(const std::string& bytes) {
  return GgufHeader::parse(std::as_bytes(std::span(bytes)), "file");
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, std::string_view text) {
  put<std::uint64_t>(out, text.size());
  out += text;
}

std::string start(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
  std::string out = "GGUF";
  put(out, version);
  put(out, tensors);
  put(out, keys);
  return out;
}

// A file with one tensor description and enough data for any sound one.
std::string with_tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                        std::uint64_t offset = 0) {
  std::string out = start(1, 0);
  put_string(out, name);
  put<std::uint32_t>(out, static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t extent : dims) put(out, extent);
  put(out, type);
  put(out, offset);
  out.resize((out.size() + 31) / 32 * 32 + 4096);
  return out;
}

GgufBuilder small_builder() {
  GgufBuilder builder;
  builder.add_string("general.architecture", "test");
  builder.add_u32("a.u32", 7);
  builder.add_f32("a.f32", 0.5f);
  builder.add_bool("a.bool", true);
  builder.add_strings("a.strings", std::array<std::string, 3>{"x", "", "yz"});
  builder.add_i32s("a.i32s", std::array<std::int32_t, 2>{-1, 5});
  builder.add_f32s("a.f32s", std::array<float, 1>{2.5f});
  builder.add_bools("a.bools", {true, false});
  builder.add_tensor("first", std::array<std::uint64_t, 2>{3, 2}, GgmlType::f16);
  builder.add_tensor("second", std::array<std::uint64_t, 1>{5}, GgmlType::f32);
  return builder;
}

std::string small_file() {
  std::string bytes = small_builder().header();
  bytes += "aaaaaaaaaaaa";
  bytes.resize(bytes.size() + 20);
  return bytes + std::string(20, 'b');
}

TEST(Gguf, ReadsWhatTheWriterWrote) {
  const TempFolder folder;
  const auto path = folder.path() / "f.gguf";
  {
    auto writer = GgufWriter::create(path, small_builder());
    ASSERT_TRUE(writer) << writer.error().message;
    const std::string data(32, 'a');
    ASSERT_TRUE(writer->append(std::as_bytes(std::span(data).first(5))));
    ASSERT_TRUE(writer->append(std::as_bytes(std::span(data).first(7))));
    ASSERT_TRUE(writer->append(std::as_bytes(std::span(data).first(20))));
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE(writer->finish());
  }
  EXPECT_EQ(std::filesystem::file_size(path), small_builder().file_bytes());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file) << file.error().message;
  const GgufHeader& header = file->header();
  EXPECT_EQ(header.find("general.architecture")->as_string(), "test");
  EXPECT_EQ(header.find("a.u32")->as_u32(), 7u);
  EXPECT_EQ(header.find("a.u32")->as_uint(), 7u);
  EXPECT_EQ(header.find("a.u32")->as_f32(), std::nullopt);
  EXPECT_EQ(header.find("a.f32")->as_f32(), 0.5f);
  EXPECT_EQ(header.find("a.bool")->as_bool(), true);
  EXPECT_EQ(header.find("a.strings")->as_strings(), (std::vector<std::string_view>{"x", "", "yz"}));
  EXPECT_EQ(header.find("a.i32s")->as_i32s(), (std::vector<std::int32_t>{-1, 5}));
  EXPECT_EQ(header.find("a.i32s")->as_f32s(), std::nullopt);
  EXPECT_EQ(header.find("a.f32s")->as_f32s(), std::vector<float>{2.5f});
  EXPECT_EQ(header.find("a.bools")->as_bools(), (std::vector<bool>{true, false}));
  EXPECT_EQ(header.find("missing"), nullptr);
  const GgufTensor* second = header.find_tensor("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->dims, std::vector<std::uint64_t>{5});
  EXPECT_EQ(second->begin % 32, 0u);
  EXPECT_EQ(file->data(*second)[19], std::byte{'a'});
}

TEST(Gguf, SaysHowMuchIsMissingFromAFileCutInHalf) {
  const std::string whole = small_file();
  ASSERT_TRUE(parse(whole)) << parse(whole).error().message;
  const auto result = parse(whole.substr(0, whole.size() - 9));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::corrupt);
  EXPECT_THAT(result.error().message, HasSubstr("9 of its " + std::to_string(whole.size()) + " bytes are missing"));
}

TEST(Gguf, RefusesEveryTruncation) {
  const std::string whole = small_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto result = parse(whole.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, Errc::corrupt) << size;
    EXPECT_THAT(result.error().message, HasSubstr("missing")) << size;
  }
}

TEST(Gguf, SurvivesEveryChangedByteOfItsHeader) {
  const std::string whole = small_file();
  for (std::size_t at = 0; at < small_builder().header().size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(value);
      const auto header = parse(changed);  // sound or refused, but never a read outside the bytes
      if (!header) continue;
      for (const auto& [key, entry] : header->metadata()) {
        (void)entry.as_strings();
        (void)entry.as_i32s();
        (void)entry.as_bools();
      }
      for (const GgufTensor& tensor : header->tensors()) EXPECT_LE(tensor.begin + tensor.size_bytes, changed.size());
    }
  }
}

TEST(Gguf, RefusesOtherFilesVersionsAndByteOrders) {
  EXPECT_THAT(parse("PK\x03\x04 not a model at all").error().message, HasSubstr("not a GGUF file"));
  EXPECT_EQ(parse(start(0, 0, 1)).error().code, Errc::unsupported);
  EXPECT_EQ(parse(start(0, 0, 4)).error().code, Errc::unsupported);
  EXPECT_THAT(parse(start(0, 0, 0x03000000)).error().message, HasSubstr("big-endian"));
  EXPECT_TRUE(parse(start(0, 0, 2)));
}

TEST(Gguf, RefusesCountsBeyondAnythingReal) {
  EXPECT_EQ(parse(start(std::uint64_t{1} << 60, 0)).error().code, Errc::too_large);
  EXPECT_EQ(parse(start(0, std::uint64_t{1} << 60)).error().code, Errc::too_large);
}

TEST(Gguf, RefusesStringsAndListsLongerThanTheFile) {
  std::string endless_key = start(0, 1);
  put<std::uint64_t>(endless_key, ~std::uint64_t{0});
  EXPECT_EQ(parse(endless_key).error().code, Errc::corrupt);

  std::string list = start(0, 1);
  put_string(list, "k");
  put<std::uint32_t>(list, 9);
  put<std::uint32_t>(list, 4);
  put<std::uint64_t>(list, 1u << 25);
  EXPECT_THAT(parse(list).error().message, HasSubstr("bytes are missing"));
  std::string huge = start(0, 1);
  put_string(huge, "k");
  put<std::uint32_t>(huge, 9);
  put<std::uint32_t>(huge, 8);
  put<std::uint64_t>(huge, std::uint64_t{1} << 61);
  EXPECT_EQ(parse(huge).error().code, Errc::too_large);
}

TEST(Gguf, RefusesListsOfLists) {
  std::string nested = start(0, 1);
  put_string(nested, "k");
  for (int depth = 0; depth < 1000; ++depth) {
    put<std::uint32_t>(nested, 9);
    put<std::uint64_t>(nested, 1);
  }
  // The first element type sits where the second level's type is.
  std::string two_levels = start(0, 1);
  put_string(two_levels, "k");
  put<std::uint32_t>(two_levels, 9);
  put<std::uint32_t>(two_levels, 9);
  put<std::uint64_t>(two_levels, 1);
  EXPECT_EQ(parse(two_levels).error().code, Errc::unsupported);
  EXPECT_FALSE(parse(nested));
}

TEST(Gguf, RefusesRepeatedKeysAndNamelessOnes) {
  GgufBuilder twice;
  twice.add_u32("k", 1);
  twice.add_u32("k", 2);
  EXPECT_THAT(parse(twice.header()).error().message, HasSubstr("twice"));
  GgufBuilder nameless;
  nameless.add_u32("", 1);
  EXPECT_THAT(parse(nameless.header()).error().message, HasSubstr("without a name"));
}

TEST(Gguf, RefusesAnAlignmentThatIsNoPowerOfTwo) {
  for (const std::uint32_t alignment : {0u, 3u, 48u, 0x80000000u}) {
    GgufBuilder builder;
    builder.add_u32("general.alignment", alignment);
    EXPECT_THAT(parse(builder.header()).error().message, HasSubstr("power of two")) << alignment;
  }
  GgufBuilder text;
  text.add_string("general.alignment", "32");
  EXPECT_FALSE(parse(text.header()));
}

TEST(Gguf, RefusesTensorsThatCannotBe) {
  EXPECT_TRUE(parse(with_tensor("t", {4, 4}, 0)));
  EXPECT_THAT(parse(with_tensor("t", {}, 0)).error().message, HasSubstr("0 dimensions"));
  EXPECT_THAT(parse(with_tensor("t", {1, 1, 1, 1, 1}, 0)).error().message, HasSubstr("5 dimensions"));
  EXPECT_THAT(parse(with_tensor("t", {4, 0}, 0)).error().message, HasSubstr("impossible shape"));
  const std::uint64_t big = std::uint64_t{1} << 32;
  EXPECT_THAT(parse(with_tensor("t", {big, big}, 0)).error().message, HasSubstr("impossible shape"));
  EXPECT_THAT(parse(with_tensor("t", {big, big / 8, 1, 1}, 28)).error().message, HasSubstr("impossible shape"));
  EXPECT_EQ(parse(with_tensor("t", {4}, 4)).error().code, Errc::unsupported);  // Q4_2, removed from ggml
  EXPECT_EQ(parse(with_tensor("t", {4}, 43)).error().code, Errc::unsupported);
  EXPECT_EQ(parse(with_tensor("t", {4}, 0xFFFFFFFF)).error().code, Errc::unsupported);
  EXPECT_THAT(parse(with_tensor("t", {48}, 8)).error().message, HasSubstr("multiple of Q8_0's 32"));
  EXPECT_THAT(parse(with_tensor("t", {4}, 0, 32)).error().message, HasSubstr("starts at 32"));
  EXPECT_THAT(parse(with_tensor("t", {4}, 0, 1)).error().message, HasSubstr("starts at 1"));
  EXPECT_THAT(parse(with_tensor("", {4}, 0)).error().message, HasSubstr("impossible name"));
  EXPECT_FALSE(parse(with_tensor(std::string(64, 'n'), {4}, 0)));
  EXPECT_FALSE(parse(with_tensor(std::string_view("a\0b", 3), {4}, 0)));
}

TEST(Gguf, RefusesTwoTensorsOfOneName) {
  GgufBuilder builder;
  builder.add_tensor("t", std::array<std::uint64_t, 1>{8}, GgmlType::f32);
  builder.add_tensor("t", std::array<std::uint64_t, 1>{8}, GgmlType::f32);
  EXPECT_THAT(parse(builder.header() + std::string(64, '\0')).error().message, HasSubstr("tensor t twice"));
}

TEST(GgufWriter, LeavesNothingBehindWhenItIsGivenUp) {
  const TempFolder folder;
  {
    auto writer = GgufWriter::create(folder.path() / "f.gguf", small_builder());
    ASSERT_TRUE(writer);
    EXPECT_EQ(writer->finish().error().code, Errc::internal);  // no tensor data yet
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(GgufWriter, RefusesMoreDataThanATensorHas) {
  const TempFolder folder;
  auto writer = GgufWriter::create(folder.path() / "f.gguf", small_builder());
  ASSERT_TRUE(writer);
  const std::string data(13, 'a');
  EXPECT_EQ(writer->append(std::as_bytes(std::span(data))).error().code, Errc::internal);
}

TEST(GgufWriter, ReportsAFolderThatIsNotThere) {
  const auto writer = GgufWriter::create("/nonexistent/f.gguf", small_builder());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, Errc::not_found);
}

}  // namespace
}  // namespace escribano::models
