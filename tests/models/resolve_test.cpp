#include "models/resolve.h"

#include <chrono>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/gguf_writer.h"
#include "models/tiny_model.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Resolve : public testing::Test {
 protected:
  Resolve() {
    options_.home = temp_.path() / "home";
    options_.hf_hub = temp_.path() / "hub";
    options_.demo_folder = temp_.path() / "demo";
  }

  fs::path file(const fs::path& relative, std::string_view content = "x") {
    const fs::path path = temp_.path() / relative;
    fs::create_directories(path.parent_path());
    write_bytes(path, content);
    return path;
  }
  fs::path huggingface_folder(const fs::path& relative) {
    TinyModel().write(temp_.path() / relative);
    return temp_.path() / relative;
  }
  Error error_of(const std::string& name) {
    const auto files = resolve_model(name, options_);
    return files ? Error{Errc::internal, "found " + files->model.string()} : files.error();
  }

  TempFolder temp_;
  ResolveOptions options_;
};

struct Beside {
  const char* title;
  std::vector<const char*> files;
  const char* projector;  // expected; empty: none

  friend void PrintTo(const Beside& beside, std::ostream* out) { *out << beside.title; }
};

class ProjectorBesideModel : public Resolve, public testing::WithParamInterface<Beside> {};

TEST_P(ProjectorBesideModel, IsFoundByItsName) {
  const fs::path model = file("m/qwen-2b-Q4_K_M.gguf");
  for (const char* name : GetParam().files) file(fs::path("m") / name);
  const auto files = resolve_model(model.string(), options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->model, model);
  EXPECT_EQ(files->projector.filename(), GetParam().projector);
  EXPECT_EQ(files->name, "qwen-2b-Q4_K_M");
}

INSTANTIATE_TEST_SUITE_P(
    Names, ProjectorBesideModel,
    testing::Values(
        Beside{"None", {"other.gguf", "mmproj.txt"}, ""}, Beside{"Plain", {"mmproj.gguf"}, "mmproj.gguf"},
        Beside{"Prefix", {"mmproj-F16.gguf"}, "mmproj-F16.gguf"},
        Beside{"Suffix", {"qwen-2b-f16-mmproj.gguf"}, "qwen-2b-f16-mmproj.gguf"},
        Beside{"UpperCase", {"MMPROJ-qwen-2b.GGUF"}, "MMPROJ-qwen-2b.GGUF"},
        Beside{"ExactBeatsOthers", {"mmproj-F16.gguf", "mmproj-qwen-2b-Q4_K_M.gguf"}, "mmproj-qwen-2b-Q4_K_M.gguf"},
        Beside{"SameNetworkBeatsOthers",
               {"mmproj-gemma-4b-F16.gguf", "mmproj-qwen-2b-Q8_0.gguf"},
               "mmproj-qwen-2b-Q8_0.gguf"},
        Beside{
            "HalfPrecisionBeatsOthers", {"mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"}, "mmproj-F16.gguf"},
        Beside{"BrainFloatBeatsSingle", {"mmproj-BF16.gguf", "mmproj-F32.gguf"}, "mmproj-BF16.gguf"}),
    [](const auto& case_info) { return case_info.param.title; });

TEST_F(Resolve, AsksWhichOfSeveralProjectorsIsMeant) {
  const fs::path model = file("m/qwen.gguf");
  file("m/mmproj-gemma.gguf");
  file("m/mmproj-llava.gguf");
  const Error error = error_of(model.string());
  EXPECT_EQ(error.code, Errc::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("mmproj-gemma.gguf, mmproj-llava.gguf"));
}

TEST_F(Resolve, TakesTheProjectorThatTheUserNames) {
  const fs::path model = file("m/qwen.gguf");
  file("m/mmproj.gguf");
  options_.projector = file("other/vision.gguf");
  EXPECT_EQ(resolve_model(model.string(), options_)->projector, options_.projector);
  options_.projector = temp_.path() / "missing.gguf";
  EXPECT_EQ(error_of(model.string()).code, Errc::not_found);
}

TEST_F(Resolve, FindsThePairInAFolder) {
  file("m/qwen-F16.gguf");
  file("m/mmproj-qwen-F16.gguf");
  const auto files = resolve_model((temp_.path() / "m").string() + "/", options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->model.filename(), "qwen-F16.gguf");
  EXPECT_EQ(files->projector.filename(), "mmproj-qwen-F16.gguf");
  EXPECT_EQ(files->name, "m");
}

TEST_F(Resolve, AsksWhichOfSeveralModelsIsMeant) {
  file("m/a.gguf");
  file("m/b.gguf");
  const Error error = error_of((temp_.path() / "m").string());
  EXPECT_EQ(error.code, Errc::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("a.gguf, b.gguf"));
}

TEST_F(Resolve, PicksAQuantisationByWhatStandsBehindAColon) {
  file("m/qwen-Q4_K_M.gguf");
  file("m/qwen-IQ4_XS.gguf");
  file("m/qwen.F16.gguf");
  file("m/mmproj-qwen-BF16.gguf");
  file("m/mmproj-qwen-f16.gguf");
  const std::string folder = (temp_.path() / "m").string();
  for (const auto& [quantisation, name] : {std::pair{"Q4_K_M", "qwen-Q4_K_M.gguf"}, std::pair{"f16", "qwen.F16.gguf"},
                                           std::pair{"iq4_xs", "qwen-IQ4_XS.gguf"}}) {
    const auto files = resolve_model(folder + ":" + quantisation, options_);
    ASSERT_TRUE(files) << files.error().message;
    EXPECT_EQ(files->model.filename(), name);
    EXPECT_EQ(files->projector.filename(), "mmproj-qwen-f16.gguf");
  }
  EXPECT_EQ(resolve_model(folder + ":f16", options_)->name, "m:F16");
  const Error open = error_of(folder);
  EXPECT_EQ(open.code, Errc::invalid_argument);
  EXPECT_THAT(open.message, HasSubstr("choose one as m:QUANT, where QUANT is one of IQ4_XS, Q4_K_M, F16"));
  const Error missing = error_of(folder + ":Q8_0");
  EXPECT_EQ(missing.code, Errc::not_found);
  EXPECT_THAT(missing.message, HasSubstr("no .gguf file of Q8_0, but qwen-IQ4_XS.gguf, qwen-Q4_K_M.gguf"));
}

TEST_F(Resolve, PicksAQuantisationOfAHubName) {
  file("home/models/org/name/q-Q4_K_M.gguf");
  file("home/models/org/name/q-Q8_0.gguf");
  file("home/models/org/name/mmproj-F16.gguf");
  const auto files = resolve_model("org/name:Q8_0", options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->model.filename(), "q-Q8_0.gguf");
  EXPECT_EQ(files->name, "org/name:Q8_0");
  for (const char* name : {"org/name:", "org/name:Q2_K", ":Q8_0", "org/../name:Q8_0"}) {
    EXPECT_EQ(error_of(name).code, Errc::not_found) << name;
  }
}

TEST_F(Resolve, KnowsAProjectorByItsMetadata) {
  const auto gguf = [](const char* key, const char* value) {
    GgufBuilder builder;
    builder.add_string(key, value);
    return builder.header();
  };
  file("m/qwen.gguf", gguf("general.architecture", "qwen3vl"));
  const fs::path tower = file("m/tower.gguf", gguf("general.architecture", "clip"));
  EXPECT_EQ(resolve_model((temp_.path() / "m").string(), options_)->projector, tower);
  EXPECT_EQ(resolve_model((temp_.path() / "m/qwen.gguf").string(), options_)->projector, tower);
  file("n/qwen.gguf", gguf("general.architecture", "qwen3vl"));
  const fs::path other = file("n/a.gguf", gguf("general.type", "mmproj"));
  EXPECT_EQ(resolve_model((temp_.path() / "n").string(), options_)->projector, other);
}

TEST_F(Resolve, ImportsAHuggingFaceFolder) {
  const fs::path folder = huggingface_folder("some-model");
  const auto files = resolve_model(folder.string(), options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->name, "some-model");
  EXPECT_EQ(files->model.parent_path().parent_path(), options_.home / "cache");
  EXPECT_TRUE(check_model(*files));
}

TEST_F(Resolve, SaysWhatAFolderLacks) {
  fs::create_directories(temp_.path() / "empty");
  EXPECT_EQ(error_of((temp_.path() / "empty").string()).code, Errc::not_found);
  EXPECT_THAT(error_of((temp_.path() / "empty").string()).message, HasSubstr("neither a .gguf file nor a config.json"));
}

TEST_F(Resolve, KnowsTheDemoModel) {
  EXPECT_THAT(error_of("demo").message, HasSubstr("demo model is not installed"));
  huggingface_folder("demo");
  const auto files = resolve_model("demo", options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->name, "demo");
}

TEST_F(Resolve, LooksForHubNamesAtHomeFirst) {
  file("home/models/org/name/q.gguf");
  huggingface_folder("hub/models--org--name/snapshots/abc");
  const auto files = resolve_model("org/name", options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->model, options_.home / "models/org/name/q.gguf");
  EXPECT_EQ(files->name, "org/name");
}

TEST_F(Resolve, DoesNotLetAnIncompleteDownloadHideACompleteCopy) {
  fs::remove(huggingface_folder("home/models/org/name") / "model.safetensors");
  EXPECT_THAT(error_of("org/name").message, HasSubstr("has no weights"));
  const fs::path model = file("hub/models--org--name/snapshots/abc/q.gguf");
  EXPECT_EQ(resolve_model("org/name", options_)->model, model);
}

TEST_F(Resolve, FollowsTheMainReferenceOfTheHuggingFaceCache) {
  file("hub/models--org--name/snapshots/aaa/one.gguf");
  file("hub/models--org--name/snapshots/bbb/two.gguf");
  file("hub/models--org--name/refs/main", "aaa\n");
  EXPECT_EQ(resolve_model("org/name", options_)->model.filename(), "one.gguf");
  file("hub/models--org--name/refs/main", "bbb");
  EXPECT_EQ(resolve_model("org/name", options_)->model.filename(), "two.gguf");
}

TEST_F(Resolve, TakesTheNewestSnapshotWithoutAUsableReference) {
  file("hub/models--org--name/snapshots/aaa/one.gguf");
  file("hub/models--org--name/snapshots/bbb/two.gguf");
  const auto now = fs::file_time_type::clock::now();
  fs::last_write_time(temp_.path() / "hub/models--org--name/snapshots/aaa", now);
  fs::last_write_time(temp_.path() / "hub/models--org--name/snapshots/bbb", now - std::chrono::hours(1));
  for (const char* reference : {"", "ccc", "../../../elsewhere"}) {
    file("hub/models--org--name/refs/main", reference);
    EXPECT_EQ(resolve_model("org/name", options_)->model.filename(), "one.gguf") << reference;
  }
}

TEST_F(Resolve, FollowsTheLinksOfTheHuggingFaceCache) {
  const fs::path folder = huggingface_folder("hub/models--org--name/snapshots/abc");
  fs::create_directories(temp_.path() / "hub/models--org--name/blobs");
  fs::rename(folder / "model.safetensors", temp_.path() / "hub/models--org--name/blobs/123");
  fs::create_symlink("../../blobs/123", folder / "model.safetensors");
  const auto files = resolve_model("org/name", options_);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(files->name, "org/name");
}

TEST_F(Resolve, SaysWhereItLooked) {
  const Error error = error_of("org/name");
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_THAT(error.message, HasSubstr((options_.home / "models" / "org" / "name").string()));
  EXPECT_THAT(error.message, HasSubstr((options_.hf_hub / "models--org--name" / "snapshots").string()));
}

TEST_F(Resolve, RefusesNamesThatAreNone) {
  EXPECT_EQ(error_of("").code, Errc::invalid_argument);
  for (const char* name : {"no-such-file.gguf", "org/name.gguf", "../outside", "org/../name", "a/b/c", "org/",
                           "org/na me", "/nonexistent/model"}) {
    const Error error = error_of(name);
    EXPECT_EQ(error.code, Errc::not_found) << name;
    EXPECT_THAT(error.message, HasSubstr(name)) << name;
  }
  EXPECT_EQ(error_of(file("m/notes.txt").string()).code, Errc::unsupported);
}

}  // namespace
}  // namespace escribano::models
