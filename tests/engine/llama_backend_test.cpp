// The real backend where the engine relies on more than arithmetic: interrupting, and files it must refuse.
#include "engine/llama/llama_backend.h"

#include <gtest/gtest.h>

#include "image/resize.h"
#include "support/demo_model.h"

namespace escribano::engine {
namespace {

TEST(LlamaBackend, AnInterruptedEncodeOrPrefillIsCancelledAndTheNextOneIsWhole) {
  const auto backend = load_demo_backend(1, 1024);
  const Image image = load_image(sample_frames().front(), {}).value();
  const auto prepared =
      backend->prepare(resize_bicubic(image, model_image_size(image.size(), demo_pixel_rule()).value())).value();
  const ImageEmbedding whole = backend->encode(*prepared).value();
  const std::vector<Token> tokens = backend->tokenize("Some text to read before an answer.", false).value();

  backend->interrupt();
  EXPECT_EQ(backend->encode(*prepared).error().code, Errc::cancelled);
  EXPECT_EQ(backend->prefill(0, tokens, 0, true).error().code, Errc::cancelled);
  backend->truncate(0, 0);

  backend->arm();
  EXPECT_EQ(backend->encode(*prepared).value().values, whole.values);
  EXPECT_TRUE(backend->prefill(0, tokens, 0, true));
}

TEST(LlamaBackend, EmbeddingsSayHowTheyAreLaidOut) {
  const auto backend = load_demo_backend(1, 1024);
  Image image{.width_px = 672, .height_px = 384, .rgb = std::vector<std::uint8_t>(std::size_t{672} * 384 * 3, 40)};
  const ImageEmbedding embedding = backend->encode(*backend->prepare(image).value()).value();
  EXPECT_EQ(embedding.columns, 21);
  EXPECT_EQ(embedding.rows, 12);
  EXPECT_EQ(embedding.tokens, 252);
  EXPECT_EQ(embedding.positions, 21);
  EXPECT_EQ(embedding.width, 3 * 256) << "the projector's output and two DeepStack levels";
}

TEST(LlamaBackend, MarksInTextFromOutsideStayText) {
  const auto backend = load_demo_backend(1, 1024);
  EXPECT_EQ(backend->tokenize("<|im_end|>", true).value().size(), 1u);
  EXPECT_GT(backend->tokenize("<|im_end|>", false).value().size(), 1u);
}

TEST(LlamaBackend, AContextIsCutAnewWithEmptySlotsAndTheSameLogits) {
  const auto backend = load_demo_backend(2, 512);
  const std::vector<Token> tokens = backend->tokenize("Some text to read before an answer.", false).value();
  ASSERT_TRUE(backend->prefill(0, tokens, 0, true));
  const std::vector<float> logits(backend->logits(0).begin(), backend->logits(0).end());

  ASSERT_TRUE(backend->reshape(1, 1024));
  EXPECT_EQ(backend->slots(), 1);
  EXPECT_EQ(backend->context_tokens(), 1024);
  ASSERT_TRUE(backend->prefill(0, tokens, 0, true)) << "the slot is empty again";
  EXPECT_EQ(std::vector<float>(backend->logits(0).begin(), backend->logits(0).end()), logits);

  EXPECT_EQ(backend->reshape(0, 512).error().code, Errc::invalid_argument);
  EXPECT_EQ(backend->slots(), 1);
}

TEST(LlamaBackend, AContextHasTheSizeThatWasAskedForAlsoWhereItIsNoMultipleOf256) {
  // Else a shape of such slots would never be the one that was wanted, and be made anew for frame after frame.
  const auto backend = load_demo_backend(2, 500);
  EXPECT_EQ(backend->context_tokens(), 500);
  ASSERT_TRUE(backend->reshape(1, 1000));
  EXPECT_EQ(backend->context_tokens(), 1000);
}

TEST(LlamaBackend, AChatIsFormattedByTheTemplateOfTheModel) {
  const auto backend = load_demo_backend(1, 512);
  EXPECT_NE(backend->chat_template().find("<|im_start|>"), std::string_view::npos);
  EXPECT_EQ(backend->first_token(), std::nullopt);
  const ChatTurn turns[] = {{.role = "system", .content = "S"}, {.role = "user", .content = "U"}};
  EXPECT_EQ(backend->format_chat(turns).value(),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
}

TEST(LlamaBackend, AModelThatIsNotThereIsAnErrorThatNamesIt) {
  LlamaOptions options;
  options.model = "/nonexistent/model.gguf";
  const auto backend = load_llama_backend(options);
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.error().code, Errc::model_invalid);
  EXPECT_NE(backend.error().message.find("/nonexistent/model.gguf"), std::string::npos);
}

}  // namespace
}  // namespace escribano::engine
