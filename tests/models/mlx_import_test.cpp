// Folders in the layout of MLX-VLM.
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/float_convert.h"
#include "models/gguf.h"
#include "models/import.h"
#include "models/tiny_model.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

const fs::path demo_folder = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";

TEST(MlxLayout, TheDemoModelInMlxLayoutBecomesTheSamePair) {
  const TempFolder temp;
  const ImportOptions options = {.weights = WeightType::f16, .name = "demo"};
  write_mlx_folder(demo_folder, temp.path() / "mlx", {});
  const auto mlx = import_folder(temp.path() / "mlx", temp.path() / "cache", options);
  ASSERT_TRUE(mlx) << mlx.error().message;
  const auto original = import_folder(demo_folder, temp.path() / "cache", options);
  ASSERT_TRUE(original) << original.error().message;
  EXPECT_NE(mlx->model, original->model);
  EXPECT_EQ(read_bytes(mlx->model), read_bytes(original->model));
  EXPECT_EQ(read_bytes(mlx->projector), read_bytes(original->projector));
}

const std::string down_proj = "model.language_model.layers.0.mlp.down_proj";

std::string words(std::uint32_t first, std::size_t count) {
  std::string data;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t word = first * static_cast<std::uint32_t>(i + 1);
    data.append(reinterpret_cast<const char*>(&word), 4);
  }
  return data;
}

std::string halves(std::uint16_t first, std::size_t count) {
  std::string data;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<std::uint16_t>(first + i);
    data.append(reinterpret_cast<const char*>(&value), 2);
  }
  return data;
}

// The tiny model with one matrix of 4 bits: 8 rows of 32 weights, a group each.
TinyModel partly_quantised() {
  TinyModel model;
  model.config["text_config"]["intermediate_size"] = 32;
  for (const std::string layer : {"0", "1"}) {
    const std::string mlp = "model.language_model.layers." + layer + ".mlp.";
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
      TinyModel::Tensor& tensor = model.tensor(mlp + name + ".weight");
      tensor.shape =
          name == std::string("down_proj") ? std::vector<std::uint64_t>{8, 32} : std::vector<std::uint64_t>{32, 8};
      tensor.data += tensor.data;
    }
  }
  TinyModel::Tensor& weight = model.tensor(down_proj + ".weight");
  weight.dtype = "U32";
  weight.shape = {8, 4};
  weight.data = words(0x9E3779B1, 32);
  model.tensors.push_back({down_proj + ".scales", {8, 1}, "BF16", halves(0x3C23, 8)});  // about 0.01
  model.tensors.push_back({down_proj + ".biases", {8, 1}, "BF16", halves(0xBDA1, 8)});
  model.config["quantization"] = {{"group_size", 32}, {"bits", 4}};
  return model;
}

class MlxImport : public testing::Test {
 protected:
  Result<ModelFiles> import(const TinyModel& model, const ImportOptions& options = {}) {
    fs::remove_all(temp_.path() / "folder");
    model.write(temp_.path() / "folder");
    return import_folder(temp_.path() / "folder", temp_.path() / "cache", options);
  }
  TempFolder temp_;
};

std::vector<float> down_proj_of(const fs::path& path, GgmlType type) {
  const GgufFile file = GgufFile::open(path).value();
  const GgufTensor& tensor = *file.header().find_tensor("blk.0.ffn_down.weight");
  EXPECT_EQ(tensor.type, static_cast<std::uint32_t>(type));
  std::vector<float> values;
  const auto bytes = file.data(tensor);
  for (std::size_t at = 0; at < bytes.size(); at += element_bytes(type)) {
    float value = 0;
    std::uint16_t bits = 0;
    std::memcpy(type == GgmlType::f32 ? static_cast<void*>(&value) : &bits, bytes.data() + at, element_bytes(type));
    if (type == GgmlType::f16) value = float_from_half(bits);
    if (type == GgmlType::bf16) value = float_from_bfloat(bits);
    values.push_back(value);
  }
  return values;
}

TEST_F(MlxImport, WeightsAreNumberTimesScalePlusBias) {
  const TinyModel model = partly_quantised();
  std::vector<float> expected;
  for (std::uint32_t i = 0; i < 256; ++i) {
    const std::uint32_t number = 0x9E3779B1 * (i / 8 + 1) >> (i % 8 * 4) & 15U;
    const auto row = static_cast<std::uint16_t>(i / 32);
    expected.push_back(static_cast<float>(number) * float_from_bfloat(0x3C23 + row) + float_from_bfloat(0xBDA1 + row));
  }
  const auto exact = import(model, {.weights = WeightType::f32});
  ASSERT_TRUE(exact) << exact.error().message;
  EXPECT_EQ(down_proj_of(exact->model, GgmlType::f32), expected);
  const auto rounded = import(model);
  ASSERT_TRUE(rounded) << rounded.error().message;
  for (float& value : expected) value = float_from_half(half_from_float(value));
  EXPECT_EQ(down_proj_of(rounded->model, GgmlType::f16), expected);
}

// bf16 would lose what the numbers of more than 4 bits say.
TEST_F(MlxImport, LargeFoldersStayInBf16OnlyWhereItHasEnoughBits) {
  TinyModel model = partly_quantised();
  const ImportOptions large = {.small_bytes = 0};
  const auto four = import(model, large);
  ASSERT_TRUE(four) << four.error().message;
  down_proj_of(four->model, GgmlType::bf16);
  model.config["quantization"]["language_model.lm_head"] = {{"group_size", 32}, {"bits", 6}};
  const auto more = import(model, large);
  ASSERT_TRUE(more) << more.error().message;
  down_proj_of(more->model, GgmlType::f16);
}

TEST_F(MlxImport, AModuleMayHaveAFormatOfItsOwn) {
  TinyModel model = partly_quantised();
  model.config["quantization"]["language_model.model.layers.0.mlp.down_proj"] = {{"group_size", 32}, {"bits", 8}};
  model.tensor(down_proj + ".weight").shape = {8, 8};
  model.tensor(down_proj + ".weight").data = words(0x01010101, 64);
  const auto files = import(model);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_EQ(down_proj_of(files->model, GgmlType::f16).size(), 256u);
}

TEST_F(MlxImport, WeightsThatHalfPrecisionCannotHoldGetSinglePrecision) {
  TinyModel model = partly_quantised();
  model.tensor(down_proj + ".biases").data = halves(0x4780, 8);  // from 65536
  const auto files = import(model);
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_GE(down_proj_of(files->model, GgmlType::f32)[0], 65536.0f);
}

TEST_F(MlxImport, MatricesOfAllPartsMayBeQuantised) {
  for (const MlxFormat format : {MlxFormat{4, 32, true}, {6, 64, true}, {8, 64, true}}) {
    write_mlx_folder(demo_folder, temp_.path() / "mlx", format);
    const auto files = import_folder(temp_.path() / "mlx", temp_.path() / "cache");
    ASSERT_TRUE(files) << files.error().message;
    EXPECT_EQ(check_model(*files)->n_layer, 8u);
  }
}

// MLX-VLM calls it language_model.lm_head.
TEST_F(MlxImport, AHeadOfItsOwnIsFoundByItsNameInMlx) {
  TinyModel model;
  model.config["tie_word_embeddings"] = false;
  model.tensors.push_back(model.tensor("model.language_model.embed_tokens.weight"));
  model.tensors.back().name = "lm_head.weight";
  model.write(temp_.path() / "source");
  write_mlx_folder(temp_.path() / "source", temp_.path() / "mlx", {});
  const auto files = import_folder(temp_.path() / "mlx", temp_.path() / "cache");
  ASSERT_TRUE(files) << files.error().message;
  EXPECT_NE(GgufFile::open(files->model)->header().find_tensor("output.weight"), nullptr);
}

TEST_F(MlxImport, ProgressEndsAtTheTotal) {
  write_mlx_folder(demo_folder, temp_.path() / "mlx", {4, 64});
  std::map<ImportProgress::Stage, ImportProgress> last;
  ASSERT_TRUE(import_folder(temp_.path() / "mlx", temp_.path() / "cache", {}, [&](const ImportProgress& progress) {
    EXPECT_GE(progress.done_bytes, last[progress.stage].done_bytes);
    last[progress.stage] = progress;
    return true;
  }));
  for (const auto stage : {ImportProgress::Stage::checking, ImportProgress::Stage::writing}) {
    EXPECT_EQ(last[stage].done_bytes, last[stage].total_bytes);
  }
}

struct BadWeights {
  const char* title;
  std::function<void(TinyModel&)> change;
  Errc code;
  const char* message;

  friend void PrintTo(const BadWeights& bad, std::ostream* out) { *out << bad.title; }
};

class MlxImportRefuses : public MlxImport, public testing::WithParamInterface<BadWeights> {};

TEST_P(MlxImportRefuses, TheWeights) {
  TinyModel model = partly_quantised();
  GetParam().change(model);
  const auto files = import(model);
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, GetParam().code) << files.error().message;
  EXPECT_THAT(files.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bad, MlxImportRefuses,
    testing::Values(
        BadWeights{"NoScales", [](TinyModel& model) { model.remove(down_proj + ".scales"); }, Errc::corrupt,
                   "missing: model.language_model.layers.0.mlp.down_proj.scales"},
        BadWeights{"NoBiases", [](TinyModel& model) { model.remove(down_proj + ".biases"); }, Errc::corrupt,
                   "missing: model.language_model.layers.0.mlp.down_proj.biases"},
        BadWeights{"ScalesOfAnotherGroupSize",
                   [](TinyModel& model) {
                     model.tensor(down_proj + ".scales").shape = {8, 2};
                     model.tensor(down_proj + ".scales").data += halves(0x3C23, 8);
                   },
                   Errc::corrupt, "down_proj.scales is [8, 2] where [8, 1] is needed"},
        BadWeights{"NumbersOfOtherBits", [](TinyModel& model) { model.config["quantization"]["bits"] = 8; },
                   Errc::corrupt, "down_proj.weight is [8, 4] where [8, 8] is needed"},
        BadWeights{"RowsThatAreNoWholeGroups",
                   [](TinyModel& model) { model.config["quantization"]["group_size"] = 64; }, Errc::corrupt,
                   "down_proj.weight, whose rows of 32 weights are not whole groups of 64"},
        BadWeights{"ScalesOfAnotherType", [](TinyModel& model) { model.tensor(down_proj + ".scales").dtype = "I16"; },
                   Errc::unsupported, "down_proj.scales (I16)"},
        BadWeights{"NumbersOfAnotherType", [](TinyModel& model) { model.tensor(down_proj + ".weight").dtype = "I32"; },
                   Errc::unsupported, "down_proj.weight (I32)"},
        BadWeights{"NumbersThatNothingDescribes", [](TinyModel& model) { model.config.erase("quantization"); },
                   Errc::unsupported, "down_proj.weight (U32)"},
        BadWeights{"NumbersOfAModuleThatIsNotQuantised",
                   [](TinyModel& model) {
                     model.config["quantization"]["language_model.model.layers.0.mlp.down_proj"] = false;
                   },
                   Errc::unsupported, "down_proj.weight (U32)"},
        BadWeights{"AVectorOfNumbers",
                   [](TinyModel& model) {
                     TinyModel::Tensor& norm = model.tensor("model.language_model.norm.weight");
                     norm.dtype = "U32";
                     norm.data += norm.data;
                   },
                   Errc::unsupported, "model.language_model.norm.weight (U32)"},
        BadWeights{"NotANumberAmongTheScales",
                   [](TinyModel& model) { model.tensor(down_proj + ".scales").data = halves(0x7FC0, 8); },
                   Errc::corrupt, "down_proj.weight holds values that are not finite"},
        BadWeights{"ScalesWithoutNumbers",
                   [](TinyModel& model) {
                     TinyModel::Tensor& weight = model.tensor(down_proj + ".weight");
                     weight.dtype = "BF16";
                     weight.shape = {8, 32};
                     weight.data = halves(0x3C23, 256);
                   },
                   Errc::corrupt, "not part of the architecture: model.language_model.layers.0.mlp.down_proj.biases"}),
    [](const auto& bad) { return bad.param.title; });

}  // namespace
}  // namespace escribano::models
