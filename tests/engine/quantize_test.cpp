// Quantisation by llama.cpp at import.
#include "engine/llama/quantize.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "engine/llama/llama_backend.h"
#include "models/import.h"
#include "models/model_files.h"
#include "support/demo_model.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = ESCRIBANO_SOURCE_DIR;

TEST(Quantize, TheDemoModelIsImportedSmallerAndSaysTheSame) {
  const TempFolder temp;
  const ModelFiles& plain = demo_model();
  const std::string expected =
      describe(*start_demo_engine(1, 2048), {.frames = {{.path = kSource / "tests/golden/frame-0-672x384.png"}}})
          .at(0)
          .raw;
  for (const auto& [quantization, share] :
       {std::pair(Quantization::q8_0, 0.6), std::pair(Quantization::q4_k_m, 0.45)}) {
    ImportOptions options;
    options.quantize = quantization;
    options.quantizer = quantize_gguf;
    const auto files = import_folder(kSource / "assets" / "demo-model", temp.path(), options);
    ASSERT_TRUE(files) << files.error().message;
    EXPECT_TRUE(check_model(*files));
    EXPECT_LT(static_cast<double>(fs::file_size(files->model)),
              share * static_cast<double>(fs::file_size(plain.model)));
    EXPECT_EQ(fs::file_size(files->projector), fs::file_size(plain.projector));

    LlamaOptions llama;
    llama.model = files->model;
    llama.projector = files->projector;
    llama.slots = 1;
    llama.threads = 1;
    llama.max_image_tokens = 256;
    const auto engine =
        Engine::start(load_llama_backend(llama).value(), {.pixel_rule = demo_pixel_rule(), .max_frames_per_prompt = 6})
            .value();
    const FrameResult result =
        describe(*engine, {.frames = {{.path = kSource / "tests/golden/frame-0-672x384.png"}}}).at(0);
    EXPECT_EQ(result.raw, expected) << quantization_name(quantization);
  }
}

TEST(Quantize, RefusesWhatItCannotDoWithTheReason) {
  const TempFolder temp;
  const Status type = quantize_gguf(demo_model().model, temp.path() / "out.gguf", "q5_1");
  ASSERT_FALSE(type);
  EXPECT_EQ(type.error().code, Errc::invalid_argument);
  EXPECT_NE(type.error().message.find("q5_1"), std::string::npos);

  const Status missing = quantize_gguf(temp.path() / "none.gguf", temp.path() / "out.gguf", "q8_0");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::io_error);
  EXPECT_NE(missing.error().message.find("none.gguf"), std::string::npos);

  const Status elsewhere = quantize_gguf(demo_model().model, temp.path() / "none" / "out.gguf", "q8_0");
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().code, Errc::io_error);
}

}  // namespace
}  // namespace escribano::engine
