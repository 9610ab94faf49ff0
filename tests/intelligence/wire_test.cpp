// Everything about the adapters that needs no server: options, sizes, how frames become requests and answers results.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "intelligence/chat.h"
#include "intelligence/frame_chat.h"
#include "intelligence/ollama_service.h"
#include "intelligence/openai_service.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr std::string_view kLine = "description: A screen. | activity: reading | apps: [A] | topics: [b, c, d]";
const std::string kPng = "\x89PNG\r\n\x1A\nand so on";

TEST(OllamaContext, HasRoomForPromptPicturesAndAnswer) {
  const OllamaOptions options;
  EXPECT_EQ(ollama_context(options, 0, 0, 1), 2048);
  EXPECT_EQ(ollama_context(options, 800, 1, 500), 4096);
  EXPECT_EQ(ollama_context(options, 800, 4, 2000), 16384);
  EXPECT_EQ(ollama_context(options, 10'000, 0, 8000), 16384);
  EXPECT_EQ(ollama_context(options, 1'000'000, 0, 8000), 32768);
}

TEST(OllamaContext, IsWhatTheOptionsSay) {
  EXPECT_EQ(ollama_context({.num_ctx = 5000}, 1'000'000, 10, 8000), 5000);
  EXPECT_EQ(ollama_context({.max_num_ctx = 10'000}, 1'000'000, 10, 8000), 10'000);
  EXPECT_EQ(ollama_context({.max_num_ctx = 1 << 20}, 1'000'000, 0, 8000), 1 << 19);
}

TEST(ServiceOptions, EveryProblemIsNamedAndNoSecretIs) {
  OllamaOptions ollama;
  ollama.server = {.url = "ftp://anna:secret@host", .parallel = 0};
  ollama.num_ctx = -1;
  const auto service = make_ollama_service(ollama);
  ASSERT_FALSE(service);
  EXPECT_EQ(service.error().code, Errc::invalid_argument);
  for (const char* part : {"http", "model", "requests at once", "context size"}) {
    EXPECT_THAT(service.error().message, HasSubstr(part));
  }
  EXPECT_THAT(service.error().message, Not(HasSubstr("secret")));
  OpenAiOptions openai;
  openai.api_key = "secret\r\nHost: elsewhere";
  openai.server.url = "http://anna:secret@host/?secret";
  const auto other = make_openai_service(openai);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("line break"));
  EXPECT_THAT(other.error().message, Not(HasSubstr("secret")));
}

TEST(RetryPolicyTest, WaitsTwiceAsLongEachTimeUpToALimit) {
  const RetryPolicy policy;
  std::vector<long> waits;
  for (int retry = 1; retry <= 7; ++retry) waits.push_back(static_cast<long>(policy.delay_before(retry).count()));
  EXPECT_THAT(waits, ElementsAre(500, 1000, 2000, 4000, 8000, 8000, 8000));
}

TEST(ServerMessage, IsFoundInEveryForm) {
  EXPECT_EQ(server_message(R"({"error":"no such model"})"), "no such model");
  EXPECT_EQ(server_message(R"({"error":{"message":"no such\nmodel","code":404}})"), "no such model");
  EXPECT_EQ(server_message(R"({"object":"error","message":"too long"})"), "too long");
  EXPECT_EQ(server_message(R"({"detail":"Not Found"})"), "Not Found");
  EXPECT_EQ(server_message("<h1>502</h1>\r\n"), "<h1>502</h1>");
  EXPECT_EQ(server_message(""), "");
  EXPECT_THAT(server_message(std::string(100'000, 'x')), SizeIs(400));
  EXPECT_EQ(server_message("\xFF\xFE"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(AnswerLinesTest, AreTheSameHoweverTheyWereCut) {
  const std::string text = "first\r\n\nthird with more\nrest";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    AnswerLines lines;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < text.size(); at += step) {
      ASSERT_TRUE(lines.feed(std::string_view(text).substr(at, step), [&](std::string_view line) {
        got.emplace_back(line);
        return Status();
      }));
    }
    EXPECT_THAT(got, ElementsAre("first", "", "third with more"));
    EXPECT_EQ(lines.rest(), "rest");
  }
}

class FrameChatTest : public ::testing::Test {
 protected:
  Frame frame(const std::string& name, const std::string& content, double timestamp_s = 0) const {
    std::ofstream(folder_.path() / name, std::ios::binary) << content;
    return {folder_.path() / name, timestamp_s};
  }
  static FrameChat prepared(const std::vector<Frame>& frames, const DescribeOptions& options) {
    return FrameChat::prepare(frames, {0, frames.size()}, options, 1000).value();
  }

  TempFolder folder_;
};

TEST_F(FrameChatTest, FramesAloneOrInBatches) {
  DescribeOptions options;
  options.batch_size = 2;
  EXPECT_THAT(group_frames(3, options), SizeIs(3));
  options.strategy = DescribeStrategy::interleaved;
  const std::vector<FrameGroup> groups = group_frames(3, options);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[1].begin, 2U);
  EXPECT_EQ(groups[1].count, 1U);
}

TEST_F(FrameChatTest, AFrameAloneHasItsPartOfTheBudget) {
  DescribeOptions options;
  const std::vector<Frame> frames = {frame("a.png", kPng)};
  FrameChat chat = prepared(frames, options);
  const ChatRequest request = chat.take_request().value();
  EXPECT_EQ(request.max_tokens, 500);
  ASSERT_THAT(request.pictures, SizeIs(1));
  EXPECT_EQ(request.pictures[0].label, "");
  EXPECT_EQ(request.pictures[0].image.mime_type, "image/png");
  EXPECT_THAT(request.text, HasSubstr("description:"));
  options.max_tokens = 3;
  EXPECT_EQ(prepared(frames, options).take_request()->max_tokens, 1);
}

TEST_F(FrameChatTest, ABatchIsLabelledAndCountsOnlyWhatCanBeRead) {
  DescribeOptions options;
  options.strategy = DescribeStrategy::interleaved;
  options.prompt = "Describe all {n}.";
  const std::vector<Frame> frames = {frame("a.jpg", "\xFF\xD8\xFFx", 1), frame("b.txt", "notes", 2),
                                     frame("c.webp", "RIFFsizeWEBPVP8 ", 3.25),
                                     frame("big.png", std::string(1001, 'x'), 4)};
  FrameChat chat = prepared(frames, options);
  const ChatRequest request = chat.take_request().value();
  EXPECT_EQ(request.text, "Describe all 2.");
  EXPECT_EQ(request.max_tokens, 2000);
  ASSERT_THAT(request.pictures, SizeIs(2));
  EXPECT_EQ(request.pictures[0].label, "Frame 1 (timestamp: 1.0s):");
  EXPECT_EQ(request.pictures[0].image.mime_type, "image/jpeg");
  EXPECT_EQ(request.pictures[1].label, "Frame 2 (timestamp: 3.2s):");
  EXPECT_EQ(request.pictures[1].image.mime_type, "image/webp");

  ChatAnswer answer;
  answer.text = "Frame 1: " + std::string(kLine) + "\nFrame 2: nothing to see";
  answer.prompt_tokens = 101;
  const std::vector<FrameResult> results = chat.results(answer);
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_EQ(results[0].description, "A screen.");
  EXPECT_EQ(results[0].stats.prompt_tokens, 51);
  EXPECT_EQ(results[1].error->code, Errc::unsupported);
  EXPECT_EQ(results[1].stats.attempts, 0);
  EXPECT_EQ(results[2].raw_response, "Frame 2: nothing to see");
  EXPECT_EQ(results[2].activity, "unknown");
  EXPECT_EQ(results[2].stats.prompt_tokens, 50);
  EXPECT_EQ(results[3].error->code, Errc::too_large);
}

TEST_F(FrameChatTest, WithoutAReadableFrameNothingIsAsked) {
  EXPECT_FALSE(prepared({frame("b.txt", "notes")}, {}).take_request());
}

TEST_F(FrameChatTest, AFailedRequestFailsTheFramesThatWereAsked) {
  DescribeOptions options;
  options.strategy = DescribeStrategy::interleaved;
  const FrameChat chat = prepared({frame("a.png", kPng), frame("b.txt", "notes")}, options);
  const std::vector<FrameResult> results = chat.results(fail(Errc::backend_error, "HTTP 500"));
  EXPECT_EQ(results[0].error->code, Errc::backend_error);
  EXPECT_EQ(results[1].error->code, Errc::unsupported);
}

TEST_F(FrameChatTest, AnAnswerOutsideTheFormIsKeptWithoutItsThoughts) {
  const FrameChat chat = prepared({frame("a.png", kPng)}, {});
  ChatAnswer answer;
  answer.text = "<think>hm</think>\n\nA screen, I think.";
  EXPECT_EQ(chat.results(answer)[0].raw_response, "A screen, I think.");
  answer.text = "<think>hm, what is thi";
  EXPECT_EQ(chat.results(answer)[0].raw_response, answer.text);
}

TEST_F(FrameChatTest, APromptWithAnUnknownPlaceholderIsRefused) {
  DescribeOptions options;
  options.prompt = "Describe {frames}.";
  const std::vector<Frame> frames = {frame("a.png", kPng)};
  const auto chat = FrameChat::prepare(frames, {0, 1}, options, 1000);
  ASSERT_FALSE(chat);
  EXPECT_EQ(chat.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace escribano
