#include "models/installed.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/import.h"
#include "models/tiny_model.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Installed : public testing::Test {
 protected:
  Installed() {
    options.home = temp.path() / "home";
    options.hf_hub = temp.path() / "hub";
    options.demo_folder = temp.path() / "demo";
  }
  // A pair under two quantisations.
  void write_pair(const fs::path& folder) {
    TinyModel().write(temp.path() / "source");
    const auto made = import_folder(temp.path() / "source", temp.path() / "made");
    if (!made) throw std::runtime_error(made.error().message);
    fs::create_directories(folder);
    fs::copy_file(made->model, folder / "tiny-F16.gguf");
    fs::copy_file(made->model, folder / "tiny-Q8_0.gguf");
    fs::copy_file(made->projector, folder / "mmproj-tiny-F16.gguf");
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const InstalledModel& model : installed_models(options)) found.push_back(model.name);
    return found;
  }
  TempFolder temp;
  ResolveOptions options;
};

TEST_F(Installed, AQuantisedFolderTakesTheMemoryOfWhatItIsImportedAs) {
  const fs::path demo = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";
  const InstalledModel plain = installed_at(demo, "plain").front();
  for (const int bits : {4, 8}) {
    const fs::path folder = temp.path() / std::to_string(bits);
    write_mlx_folder(demo, folder, {.bits = bits, .group_size = 32, .vision_tower = true});
    const InstalledModel quantised = installed_at(folder, "quantised").front();
    ASSERT_FALSE(quantised.problem) << quantised.problem->message;
    EXPECT_EQ(quantised.kind, "MLX " + std::to_string(bits) + "-bit");
    EXPECT_LT(quantised.size_bytes, plain.size_bytes * 7 / 10);
    EXPECT_EQ(quantised.info.file_bytes, plain.info.file_bytes);
    EXPECT_EQ(quantised.info.projector_bytes, plain.info.projector_bytes);
  }
}

TEST_F(Installed, ListsEveryPlaceOnce) {
  TinyModel().write(options.demo_folder);
  write_pair(options.home / "models/org/pair");
  TinyModel().write(options.home / "models/org/both");
  TinyModel().write(options.hf_hub / "models--org--both/snapshots/1");
  TinyModel().write(options.hf_hub / "models--other--a--b/snapshots/1");
  fs::create_directories(options.hf_hub / "datasets--org--data/snapshots/1");
  EXPECT_THAT(names(), ElementsAre("demo", "org/both", "org/pair:F16", "org/pair:Q8_0", "other/a--b"));
  EXPECT_FALSE(fs::exists(options.home / "cache")) << "nothing is imported";
  for (const InstalledModel& model : installed_models(options)) {
    EXPECT_FALSE(model.problem) << model.name << ": " << model.problem->message;
    EXPECT_TRUE(model.info.has_vision);
    EXPECT_GT(model.size_bytes, 0);
  }
}

TEST_F(Installed, KnowsBeforeTheImportWhatComesOfAFolder) {
  TinyModel().write(options.demo_folder);
  const InstalledModel before = installed_models(options).front();
  EXPECT_EQ(before.kind, "HF bf16");
  const auto files = import_folder(options.demo_folder, temp.path() / "cache");
  ASSERT_TRUE(files);
  const auto after = check_model(*files);
  ASSERT_TRUE(after);
  EXPECT_EQ(before.info.n_layer, after->n_layer);
  EXPECT_EQ(before.info.n_ff, after->n_ff);
  EXPECT_EQ(before.info.n_head_kv, after->n_head_kv);
  EXPECT_EQ(before.info.head_size, after->head_size);
  EXPECT_EQ(before.info.n_ctx_train, after->n_ctx_train);
  EXPECT_EQ(before.info.deepstack_count, after->deepstack_count);
  EXPECT_EQ(before.info.vision_width, after->vision_width);
  EXPECT_EQ(before.info.vision_ff, after->vision_ff);
  EXPECT_EQ(before.info.vision_heads, after->vision_heads);
  EXPECT_EQ(before.info.patch_size, after->patch_size);
  EXPECT_EQ(before.info.max_pixels, after->max_pixels);
}

TEST_F(Installed, SaysWhyAFolderCannotBeUsed) {
  options.demo_folder.clear();
  const fs::path models = options.home / "models/org";
  fs::create_directories(models / "empty");
  TinyModel text;
  text.config["model_type"] = "qwen3";
  text.config.erase("vision_config");
  text.write(models / "text");
  TinyModel().write(models / "half", 2);
  fs::remove(models / "half/model-2.safetensors");
  fs::create_directories(models / "broken");
  write_bytes(models / "broken/a.gguf", "not a model");
  const std::vector<InstalledModel> found = installed_models(options);
  ASSERT_EQ(found.size(), 4);
  EXPECT_THAT(found[0].problem.value_or(Error{}).message, HasSubstr("a.gguf"));
  EXPECT_THAT(found[1].problem.value_or(Error{}).message, HasSubstr("neither a .gguf file nor a config.json"));
  EXPECT_EQ(found[2].problem.value_or(Error{}).code, Errc::not_found) << "a shard is missing";
  EXPECT_EQ(found[3].problem.value_or(Error{}).code, Errc::no_vision);
}

TEST_F(Installed, TakesAFileByItsPath) {
  write_pair(temp.path() / "m");
  const auto found = installed_at(temp.path() / "m/tiny-Q8_0.gguf", "mine");
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].name, "mine");
  EXPECT_EQ(found[0].kind, "Q8_0");
  EXPECT_EQ(found[0].info.file_bytes, found[0].size_bytes);
}

}  // namespace
}  // namespace escribano::models
