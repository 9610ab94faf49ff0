// What the hub's answers are taken for: names, listings, which files make a model. Nothing here touches a disk or a network.
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/hub_name.h"
#include "hub/listing.h"
#include "hub/manifest.h"
#include "hub/selection.h"

namespace escribano::hub {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HubNameText, HasARevisionAndALabel) {
  EXPECT_EQ(parse_hub_name("org/name").value(), (HubName{"org/name", "main", ""}));
  EXPECT_EQ(parse_hub_name("org/name@v1.0").value(), (HubName{"org/name", "v1.0", ""}));
  EXPECT_EQ(parse_hub_name("org/name:Q4_K_M").value(), (HubName{"org/name", "main", "Q4_K_M"}));
  EXPECT_EQ(parse_hub_name("org/name@refs/pr/3:q8_0").value(), (HubName{"org/name", "refs/pr/3", "q8_0"}));
  EXPECT_EQ(to_text(parse_hub_name("org/name@refs/pr/3:q8_0").value()), "org/name@refs/pr/3:q8_0");
}

TEST(HubNameText, IsRefusedWhereItCouldLeadElsewhere) {
  for (const char* text :
       {"", "name", "a/b/c", "../x", "org/..", "org/.hidden", "/org/name", "org/name@", "org/name:", "org/na me",
        "org/name@../x", "org/name@a?b", "org/name@/x", "org/name:a/b", "org\\name/x", "-org/name", "org/na\nme"}) {
    const auto name = parse_hub_name(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().code, Errc::invalid_argument);
  }
}

TEST(PathsOfTheHub, ThatLeadElsewhereAreRefused) {
  EXPECT_TRUE(check_path("config.json"));
  EXPECT_TRUE(check_path("folder/a file.txt"));
  EXPECT_TRUE(check_path("..a/b.."));
  const std::string long_path(2000, 'a');
  for (const std::string& path :
       {std::string(), std::string("../x"), std::string("a/../../x"), std::string("/etc/passwd"), std::string("a//b"),
        std::string("a/"), std::string("./a"), std::string(".."), std::string("a\\..\\b"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\x7f"), std::string("\xff"), long_path}) {
    const Status status = check_path(path);
    ASSERT_FALSE(status) << path;
    EXPECT_EQ(status.error().code, Errc::protocol_error);
    EXPECT_THAT(status.error().message, Not(HasSubstr("\n")));
    EXPECT_LT(status.error().message.size(), 400U);
  }
}

TEST(FileNames, ThatNoDiskShouldHoldAreRefused) {
  EXPECT_TRUE(check_file_name("model-00001-of-00002.safetensors"));
  EXPECT_TRUE(check_file_name("console.json"));
  const std::string long_name(201, 'a');
  for (const std::string& name :
       {std::string("CON"), std::string("nul.json"), std::string("Com1.safetensors"), std::string("a:b"),
        std::string(".escribano-pull.json"), std::string("-rf"), std::string("a/b"), std::string("a."), long_name}) {
    EXPECT_FALSE(check_file_name(name)) << name;
  }
}

const std::string kSha1(40, '1');
const std::string kSha256(64, '2');

std::string entry(const std::string& path, std::uint64_t size, bool lfs = false) {
  std::string text =
      R"({"type":"file","path":")" + path + R"(","size":)" + std::to_string(size) + R"(,"oid":")" + kSha1 + "\"";
  if (lfs) text += R"(,"lfs":{"oid":")" + kSha256 + R"(","size":)" + std::to_string(size) + "}";
  return text + "}";
}

TEST(Listing, HasSizesAndHashes) {
  std::vector<RemoteFile> files;
  ASSERT_TRUE(append_listing("[" + entry("config.json", 12) +
                                 R"(,{"type":"directory","path":"onnx","oid":"x","size":0},)" +
                                 entry("model.safetensors", 1234567, true) + "]",
                             files));
  EXPECT_THAT(files, ElementsAre(RemoteFile{"config.json", 12, "", kSha1},
                                 RemoteFile{"model.safetensors", 1234567, kSha256, ""}));
}

TEST(Listing, ThatIsNoneIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), std::string("[") + entry("../x", 1) + "]",
        std::string(R"([{"type":"directory","path":"../x"}])"),
        std::string(R"([{"type":"file","path":"a","oid":"1","size":1}])"),
        std::string(R"([{"type":"file","path":"a","size":-1}])"),
        std::string(R"([{"type":"file","path":"a","size":1.5}])"),
        std::string(R"([{"type":"file","path":1,"size":1}])"), "[" + entry("a", 1ULL << 50) + "]", std::string("["),
        std::string(100'000, '['),
        std::string(R"([{"type":"file","path":"a","size":1,"lfs":{"oid":"../../../etc","size":1}}])")}) {
    std::vector<RemoteFile> files;
    EXPECT_FALSE(append_listing(text, files)) << text.substr(0, 100);
    EXPECT_TRUE(files.empty());
  }
  EXPECT_FALSE(parse_commit("{}"));
  EXPECT_FALSE(parse_commit(R"({"sha":"../../../../../../../../../../../../../../x"})"));
  EXPECT_FALSE(parse_commit("<html>"));
  EXPECT_EQ(parse_commit(R"({"sha":")" + kSha1 + R"(","id":"x"})").value(), kSha1);
}

TEST(Listing, GoesOnWhereTheHeaderSays) {
  EXPECT_EQ(next_link(R"(<https://hub/api?cursor=2>; rel="next")"), "https://hub/api?cursor=2");
  EXPECT_EQ(next_link(R"(<https://hub/1>; rel="prev", <https://hub/3>; rel="next")"), "https://hub/3");
  for (const char* text : {"", "<", "x", "<a>", "<a>; rel=\"last\"", ">a<", "<a; rel=next"})
    EXPECT_EQ(next_link(text), "") << text;
}

std::vector<RemoteFile> repository(std::initializer_list<const char*> paths) {
  std::vector<RemoteFile> files;
  std::uint64_t size = 1'100'000'000;
  for (const char* path : paths) files.push_back({.path = path, .size = size += 1'000'000'000, .sha256 = kSha256});
  return files;
}

std::vector<std::string> names_of(const Result<std::vector<PullFile>>& files) {
  if (!files) return {files.error().message};
  std::vector<std::string> names;
  for (const PullFile& file : *files) names.push_back(file.name);
  return names;
}

TEST(Selection, OfWeightsTakesWhatTheImportReadsAndNothingThatRuns) {
  const auto files = repository({"README.md",
                                 "config.json",
                                 "model.safetensors.index.json",
                                 "model-1.safetensors",
                                 "model-2.safetensors",
                                 "modeling_x.py",
                                 "pytorch_model.bin",
                                 "training_args.pt",
                                 "tokenizer.json",
                                 "tokenizer_config.json",
                                 "tokenizer.model",
                                 "vocab.json",
                                 "merges.txt",
                                 "chat_template.jinja",
                                 "chat_template.json",
                                 "preprocessor_config.json",
                                 "onnx/model.safetensors",
                                 "special_tokens_map.json",
                                 "generation_config.json",
                                 ".gitattributes"});
  EXPECT_THAT(names_of(select_files(files, {"o/n"})),
              ElementsAre("chat_template.jinja", "chat_template.json", "config.json", "generation_config.json",
                          "merges.txt", "model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json",
                          "preprocessor_config.json", "special_tokens_map.json", "tokenizer.json",
                          "tokenizer_config.json", "vocab.json"));
}

TEST(Selection, OfGgufTakesTheLabelAndOneProjector) {
  const auto files =
      repository({"config.json", "M-2B-Q4_K_M.gguf", "M-2B-Q8_0.gguf", "M-2B-F16.gguf", "M-2B-UD-Q4_K_XL.gguf",
                  "IQ4/M-2B-IQ4_XS.gguf", "mmproj-M-2B-BF16.gguf", "mmproj-F32.gguf", "mmproj-M-2B-F16.gguf"});
  EXPECT_THAT(names_of(select_files(files, {"o/n", "main", "q4_k_m"})),
              ElementsAre("M-2B-Q4_K_M.gguf", "mmproj-M-2B-F16.gguf"));
  EXPECT_THAT(names_of(select_files(files, {"o/n", "main", "F16"})),
              ElementsAre("M-2B-F16.gguf", "mmproj-M-2B-F16.gguf"));
  EXPECT_THAT(names_of(select_files(files, {"o/n", "main", "Q4_K_XL"})),
              ElementsAre("M-2B-UD-Q4_K_XL.gguf", "mmproj-M-2B-F16.gguf"));
  EXPECT_THAT(names_of(select_files(files, {"o/n", "main", "IQ4_XS"})),
              ElementsAre("M-2B-IQ4_XS.gguf", "mmproj-M-2B-F16.gguf"));
}

TEST(Selection, ThatIsNotClearListsWhatThereIs) {
  const auto files = repository({"M-Q4_K_M.gguf", "M-Q8_0.gguf", "mmproj.gguf"});
  for (const char* quant : {"", "Q2_K"}) {
    const auto selected = select_files(files, {"o/n", "main", quant});
    ASSERT_FALSE(selected);
    EXPECT_EQ(selected.error().code, Errc::invalid_argument);
    EXPECT_THAT(selected.error().message,
                AllOf(HasSubstr("o/n:Q4_K_M (2.10 GB)"), HasSubstr("o/n:Q8_0 (3.10 GB)"), Not(HasSubstr("mmproj"))));
  }
  EXPECT_THAT(names_of(select_files(repository({"only.Q8_0.gguf"}), {"o/n"})), ElementsAre("only.Q8_0.gguf"));
  EXPECT_EQ(
      select_files(repository({"M-Q8_0-00001-of-00002.gguf", "M-Q8_0-00002-of-00002.gguf"}), {"o/n"}).error().code,
      Errc::unsupported);
  EXPECT_EQ(select_files(repository({"README.md", "model.bin"}), {"o/n"}).error().code, Errc::not_found);
  EXPECT_EQ(select_files(repository({"config.json", "model.safetensors"}), {"o/n", "main", "Q8_0"}).error().code,
            Errc::invalid_argument);
}

TEST(Selection, OfNamesThatOnlyDifferInCaseIsRefused) {
  EXPECT_EQ(select_files(repository({"config.json", "Model.safetensors", "model.safetensors"}), {"o/n"}).error().code,
            Errc::protocol_error);
  EXPECT_EQ(select_files(repository({"config.json", "nul.safetensors"}), {"o/n"}).error().code, Errc::protocol_error);
  EXPECT_EQ(select_files(repository({"config.json", "a:b.safetensors"}), {"o/n"}).error().code, Errc::protocol_error);
}

TEST(Manifests, AreReadAsTheyWereWritten) {
  const Manifest manifest = {
      .name = {"org/name", "main", "Q8_0"},
      .commit = kSha1,
      .files = {{"a.gguf", {"x/a.gguf", 12, kSha256, ""}}, {"config.json", {"config.json", 3, kSha256, kSha1}}}};
  EXPECT_EQ(parse_manifest(to_text(manifest)).value(), manifest);
  for (const char* text : {"", "{}", "[]", R"({"repository":1})"}) EXPECT_FALSE(parse_manifest(text)) << text;
}

}  // namespace
}  // namespace escribano::hub
