// Folders in the layout of MLX-VLM.
#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "models/import.h"
#include "models/tiny_model.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::models {
namespace {

namespace fs = std::filesystem;

const fs::path demo_folder = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";

TEST(MlxImport, TheDemoModelInMlxLayoutBecomesTheSamePair) {
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

}  // namespace
}  // namespace escribano::models
