// Every example of docs/protocol.md is what the code reads and writes.
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "protocol/answer.h"
#include "protocol/request.h"

namespace escribano::protocol {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

struct Example {
  int number = 0;    // of the line in the page
  std::string kind;  // what follows ndjson in the line that opens the block
  bool request = false;
  std::string text;
};

std::string page() {
  std::ifstream file(std::string(ESCRIBANO_SOURCE_DIR) + "/docs/protocol.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Example> examples() {
  std::istringstream lines(page());
  std::vector<Example> found;
  std::string kind;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside && line.starts_with("```ndjson");
      kind = line.size() > 10 ? line.substr(10) : "";
    } else if (inside) {
      const bool request = line.starts_with("> ");
      EXPECT_TRUE(request || line.starts_with("< ")) << "line " << number;
      found.push_back({number, kind, request, line.substr(2)});
    }
  }
  return found;
}

std::vector<Example> examples(std::string_view kind) {
  std::vector<Example> found;
  for (Example& example : examples()) {
    if (example.kind == kind) found.push_back(std::move(example));
  }
  EXPECT_FALSE(found.empty()) << kind;
  return found;
}

// An id that nlohmann's parser rounds is compared as text by decode_request's own tests; params may be left out.
Json comparable(const std::string& line) {
  Json json = Json::parse(line);
  if (json.contains("method") && !json.contains("params")) json["params"] = Json::object();
  return json;
}

TEST(ProtocolPage, ExamplesOfRequestsAreRequests) {
  for (const Example& example : examples("")) {
    if (!example.request) continue;
    const auto request = decode_request(example.text);
    ASSERT_TRUE(request) << "line " << example.number << ": " << request.error().error.message;
    EXPECT_EQ(comparable(encode(*request)), comparable(example.text)) << "line " << example.number;
  }
}

TEST(ProtocolPage, ExamplesOfAnswersAreWrittenLikeThat) {
  for (const Example& example : examples("")) {
    if (example.request) continue;
    const auto answer = decode_answer(example.text);
    ASSERT_TRUE(answer) << "line " << example.number << ": " << answer.error().message;
    EXPECT_EQ(encode(answer->answer), example.text + "\n") << "line " << example.number;
    EXPECT_EQ(answer->done, answer->answer.last()) << "line " << example.number;
  }
}

TEST(ProtocolPage, BadExamplesGetExactlyTheErrorShown) {
  const std::vector<Example> bad = examples("bad");
  ASSERT_EQ(bad.size() % 2, 0U);
  for (std::size_t i = 0; i < bad.size(); i += 2) {
    ASSERT_TRUE(bad[i].request && !bad[i + 1].request) << "line " << bad[i].number;
    const auto request = decode_request(bad[i].text);
    ASSERT_FALSE(request) << "line " << bad[i].number;
    const BadRequest& refused = request.error();
    EXPECT_EQ(encode(Answer{refused.id, ErrorAnswer{refused.error}}), bad[i + 1].text + "\n")
        << "line " << bad[i].number;
  }
}

TEST(ProtocolPage, LinesOfOtherBridgesAreRead) {
  for (const Example& example : examples("foreign")) {
    const auto answer = decode_answer(example.text);
    EXPECT_TRUE(answer) << "line " << example.number << ": " << answer.error().message;
    EXPECT_TRUE(answer && answer->done) << "line " << example.number;
  }
}

TEST(ProtocolPage, AnnouncementsAreWrittenLikeThat) {
  for (const Example& example : examples("stdout")) {
    const auto announcement = decode_announcement(example.text);
    ASSERT_TRUE(announcement) << "line " << example.number;
    EXPECT_EQ(encode(*announcement), example.text + "\n") << "line " << example.number;
  }
}

TEST(ProtocolPage, EveryMethodHasAnExampleAndEveryCodeARow) {
  const std::string text = page();
  for (const char* method :
       {"describe_images", "vlm_infer", "text_infer", "llm_infer", "text_prompt_fit", "llm_prompt_fit", "load_llm",
        "unload_vlm", "unload_llm", "ping", "status", "cancel", "shutdown"}) {
    EXPECT_THAT(text, HasSubstr(std::string(R"("method":")") + method + "\"")) << method;
  }
  for (int code = 0; code <= static_cast<int>(Errc::internal); ++code) {
    EXPECT_THAT(text, HasSubstr("\n| `" + std::string(errc_name(static_cast<Errc>(code))) + "` |"));
  }
}

}  // namespace
}  // namespace escribano::protocol
