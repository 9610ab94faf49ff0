#include "protocol/request.h"

#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "protocol/limits.h"
#include "protocol/line_framer.h"

namespace escribano::protocol {
namespace {

using testing::HasSubstr;

Request decoded(const std::string& line) {
  const auto request = decode_request(line);
  EXPECT_TRUE(request) << line << ": " << request.error().error.message;
  return request.value_or(Request{});
}

BadRequest refused(const std::string& line) {
  auto request = decode_request(line);
  EXPECT_FALSE(request) << line;
  return request ? BadRequest{} : request.error();
}

// A line of one of the methods with images, with these parameters.
std::string describe(const std::string& more) {
  return R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a.png","timestamp":1}],)" + more +
         "}}";
}
std::string infer(const std::string& method, const std::string& messages) {
  return R"({"id":1,"method":")" + method + R"(","params":{"messages":)" + messages + "}}";
}

ChatMessage says(std::string role, std::string text) {
  return {std::move(role), {{ContentPart::Kind::text, std::move(text)}}};
}

struct Example {
  const char* name;
  Request request;
  std::string line;
};

std::vector<Example> examples() {
  using std::chrono::milliseconds;
  const ChatMessage with_image = {"user",
                                  {{ContentPart::Kind::text, "Frame 1:"},
                                   {ContentPart::Kind::image, "/f 1.png"},
                                   {ContentPart::Kind::text, "What is it?"}}};
  return {
      {"plain",
       {"123", DescribeImages{.images = {{"/path/to/frame1.jpg", 42.5}, {"/path/to/frame2.jpg", 52}}}},
       R"({"id":123,"method":"describe_images","params":{"images":[{"imagePath":"/path/to/frame1.jpg","timestamp":42.5},)"
       R"({"imagePath":"/path/to/frame2.jpg","timestamp":52}]}})"},
      {"everything",
       {R"("a\u00e9")", DescribeImages{.images = {{"/a\n\xC3\xA9.png", -1e-3}},
                                       .batch_size = 8,
                                       .max_tokens = 1000,
                                       .prompt = "Say {n}",
                                       .strategy = DescribeStrategy::interleaved,
                                       .temperature = 0.3F,
                                       .deadline = milliseconds(5000)}},
       R"({"id":"a\u00e9","method":"describe_images","params":{"images":[{"imagePath":"/a\n\u00e9.png","timestamp":-0.001}],)"
       R"("batchSize":8,"maxTokens":1000,"prompt":"Say {n}","strategy":"interleaved","temperature":0.3,"deadlineMs":5000}})"},
      {"vlm_infer",
       {"1", Infer{.content = {.messages = {says("system", "Be short."), with_image}}, .max_tokens = 200}},
       R"({"id":1,"method":"vlm_infer","params":{"messages":[{"role":"system","content":"Be short."},)"
       R"({"role":"user","content":[{"type":"text","text":"Frame 1:"},{"type":"image","imagePath":"/f 1.png"},)"
       R"({"type":"text","text":"What is it?"}]}],"maxTokens":200}})"},
      {"text_infer",
       {"1", Infer{.method = Infer::Method::text_infer,
                   .content = {.messages = {says("user", "Hi"), says("assistant", "Yes?"), {"user", {}}}},
                   .temperature = 1,
                   .deadline = milliseconds(1)}},
       R"({"id":1,"method":"text_infer","params":{"messages":[{"role":"user","content":"Hi"},)"
       R"({"role":"assistant","content":"Yes?"},{"role":"user","content":[]}],"temperature":1,"deadlineMs":1}})"},
      {"llm_infer",
       {"1", Infer{.method = Infer::Method::llm_infer, .content = {.raw_prompt = "Sum up:\n"}, .think = true}},
       R"({"id":1,"method":"llm_infer","params":{"rawPrompt":"Sum up:\n","think":true}})"},
      {"text_prompt_fit",
       {"1",
        PromptFit{.content = {.messages = {says("user", "Hi")}}, .requested_output_tokens = 10, .reserved_tokens = 0}},
       R"({"id":1,"method":"text_prompt_fit","params":{"messages":[{"role":"user","content":"Hi"}],"maxTokens":10,"reservedTokens":0}})"},
      {"llm_prompt_fit",
       {"1", PromptFit{.mode = Mode::llm, .content = {.raw_prompt = ""}}},
       R"({"id":1,"method":"llm_prompt_fit","params":{"rawPrompt":""}})"},
      {"load_llm", {"1", LoadLlm{"org/model"}}, R"({"id":1,"method":"load_llm","params":{"model":"org/model"}})"},
      {"load_llm of the bridge's own", {"1", LoadLlm{}}, R"({"id":1,"method":"load_llm","params":{}})"},
      {"unload_vlm", {"1", Unload{Mode::vlm}}, R"({"id":1,"method":"unload_vlm","params":{}})"},
      {"unload_llm", {"1", Unload{Mode::llm}}, R"({"id":1,"method":"unload_llm","params":{}})"},
      {"ping", {"null", Ping{}}, R"({"id":null,"method":"ping","params":{}})"},
      {"status", {"1e400", StatusQuery{}}, R"({"id":1e400,"method":"status","params":{}})"},
      {"cancel", {"2", Cancel{"1e400"}}, R"({"id":2,"method":"cancel","params":{"request":1e400}})"},
      {"cancel of a string", {"2", Cancel{"\"a\""}}, R"({"id":2,"method":"cancel","params":{"request":"a"}})"},
      {"shutdown", {"1", Shutdown{}}, R"({"id":1,"method":"shutdown","params":{}})"},
      {"shutdown if unused", {"1", Shutdown{true}}, R"({"id":1,"method":"shutdown","params":{"ifUnused":true}})"},
  };
}

TEST(Request, EveryMethodHasItsLineInBothDirections) {
  for (const Example& example : examples()) {
    EXPECT_EQ(encode(example.request), example.line + "\n") << example.name;
    EXPECT_EQ(decoded(example.line), example.request) << example.name;
    const Result<std::string> checked = encode_checked(example.request);
    ASSERT_TRUE(checked) << example.name << ": " << checked.error().message;
    EXPECT_EQ(*checked, example.line + "\n") << example.name;
  }
}

TEST(Request, IsTheSameHoweverItsBytesAreCut) {
  std::string bytes;
  std::vector<Request> requests;
  for (const Example& example : examples()) {
    bytes += example.line + (requests.size() % 2 == 0 ? "\n" : "\r\n\n");
    requests.push_back(example.request);
  }
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    LineFramer framer;
    std::vector<Request> read;
    for (const std::string& part : {bytes.substr(0, cut), bytes.substr(cut)}) {
      framer.append(part);
      for (auto line = framer.next(); *line; line = framer.next()) read.push_back(decoded(std::string(**line)));
    }
    ASSERT_EQ(read, requests) << cut;
  }
}

TEST(RequestId, ComesBackAsItWas) {
  for (const std::string id : {"0", "-0", "7", "-3", "1.50", "1e400", "-1E+5", "123456789012345678901234567890", "null",
                               R"("")", R"("7")", R"("a b")", R"("\"\\\n")", R"("\u00e9\ud83d\ude00")"}) {
    EXPECT_EQ(decoded(R"({"id":)" + id + R"(,"method":"ping"})").id, id);
    EXPECT_EQ(decoded(R"({"method":"cancel","params":{"request":)" + (id == "null" ? "1" : id) + "}}").id, "null");
  }
}

TEST(RequestId, OfAStringHasOneText) {
  EXPECT_EQ(decoded("{\"id\":\"\xC3\xA9\\/\\u0041\",\"method\":\"ping\"}").id, R"("\u00e9/A")");
}

TEST(RequestId, LastOneCountsAndAMissingOneIsNull) {
  EXPECT_EQ(decoded(R"({"id":1,"method":"ping","id":2})").id, "2");
  EXPECT_EQ(decoded(R"({"method":"ping"})").id, "null");
}

TEST(RequestId, OfAnotherTypeOrTooLongIsRefused) {
  for (const std::string& id : {std::string("[1]"), std::string("{}"), std::string("true"), std::string(1025, '7')}) {
    const BadRequest bad = refused(R"({"id":)" + id + R"(,"method":"ping"})");
    EXPECT_EQ(bad.id, "null");
    EXPECT_EQ(bad.error.code, Errc::invalid_argument);
    EXPECT_THAT(bad.error.message, HasSubstr("id must be a number, a string or null"));
  }
}

TEST(Request, LinesThatAreNoneAreRefused) {
  const auto is = [](const std::string& line, const std::string& id, Errc code, const std::string& message) {
    const BadRequest bad = refused(line);
    EXPECT_EQ(bad.id, id) << line;
    EXPECT_EQ(bad.error.code, code) << line;
    EXPECT_THAT(bad.error.message, HasSubstr(message)) << line;
  };
  is("hello", "null", Errc::protocol_error, "not valid JSON: expected a value at byte 1");
  is(R"({"id":5,"method":"ping")", "null", Errc::protocol_error, "not valid JSON");
  is("{\"id\":5,\"method\":\"\xFF\"}", "null", Errc::protocol_error, "not UTF-8");
  is("[1,2]", "null", Errc::protocol_error, "must be a JSON object");
  is("null", "null", Errc::protocol_error, "must be a JSON object");
  is(R"({"id":5})", "5", Errc::protocol_error, "method must be a string");
  is(R"({"id":5,"method":7})", "5", Errc::protocol_error, "method must be a string");
  is(R"({"id":5,"method":"dance"})", "5", Errc::unsupported, "unknown method 'dance'");
  is(R"({"id":5,"method":"a\u0000\n\u001b[1m"})", "5", Errc::unsupported, "unknown method 'a???[1m'");
  is(R"({"id":5,"method":")" + std::string(1000, 'x') + "\"}", "5", Errc::unsupported, std::string(60, 'x') + "...'");
  is(R"({"id":5,"method":"ping","params":[]})", "5", Errc::invalid_argument, "params must be an object, not an array");
  is(R"({"id":5,"method":"ping","params":)" + std::string(200, '[') + std::string(200, ']') + "}", "5", Errc::too_large,
     "deeper than 64 levels");
  is(std::string(200, '['), "null", Errc::too_large, "deeper than 64 levels");
}

TEST(Request, UnknownFieldsAreIgnoredAndNullCountsAsNotGiven) {
  EXPECT_EQ(decoded(R"({"x":1e400,"id":1,"method":"ping","params":null,"jsonrpc":"2.0"})"), (Request{"1", Ping{}}));
  const Request plain = decoded(describe(R"("x":[])"));
  EXPECT_EQ(
      decoded(describe(
          R"("batchSize":null,"maxTokens":null,"prompt":null,"strategy":null,"temperature":null,"deadlineMs":null)")),
      plain);
  EXPECT_EQ(
      decoded(R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a.png","timestamp":null}]}})"),
      decoded(R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a.png","timestamp":0}]}})"));
}

TEST(Request, WholeNumbersMayBeWrittenWithAPoint) {
  for (const char* four : {"4", "4.0", "4e0", "0.4E1", "400e-2"}) {
    const Request request = decoded(describe(std::string(R"("batchSize":)") + four));
    EXPECT_EQ(std::get<DescribeImages>(request.method).batch_size, 4) << four;
  }
}

TEST(Request, AWrongParameterIsNamedWithWhatItMayBe) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {describe(R"("batchSize":"x")"), R"(batchSize must be a whole number from 1 to 255, not "x")"},
      {describe(R"("batchSize":0)"), "batchSize must be a whole number from 1 to 255, not 0"},
      {describe(R"("batchSize":-1)"), "batchSize must be a whole number from 1 to 255, not -1"},
      {describe(R"("batchSize":1e9)"), "batchSize must be a whole number from 1 to 255, not 1e9"},
      {describe(R"("batchSize":2.5)"), "batchSize must be a whole number from 1 to 255, not 2.5"},
      {describe(R"("batchSize":[])"), "batchSize must be a whole number from 1 to 255, not an array"},
      {describe(R"("batchSize":true)"), "batchSize must be a whole number from 1 to 255, not true"},
      {describe(R"("maxTokens":1000001)"), "maxTokens must be a whole number from 1 to 1000000, not 1000001"},
      {describe(R"("maxTokens":1e400)"), "maxTokens must be a whole number from 1 to 1000000, not 1e400"},
      {describe(R"("prompt":5)"), "prompt must be a string, not 5"},
      {describe(R"("strategy":"serial")"), R"(strategy must be "parallel" or "interleaved", not "serial")"},
      {describe(R"("strategy":1)"), R"(strategy must be "parallel" or "interleaved", not 1)"},
      {describe(R"("temperature":10.5)"), "temperature must be a number from 0 to 10, not 10.5"},
      {describe(R"("temperature":"hot")"), R"(temperature must be a number from 0 to 10, not "hot")"},
      {describe(R"("deadlineMs":0)"), "deadlineMs must be a whole number from 1 to 86400000, not 0"},
      {R"({"id":1,"method":"describe_images"})", "describe_images needs at least one image"},
      {R"({"id":1,"method":"describe_images","params":{"images":[]}})", "describe_images needs at least one image"},
      {R"({"id":1,"method":"describe_images","params":{"images":{}}})", "images must be an array, not an object"},
      {R"({"id":1,"method":"describe_images","params":{"images":["/a.png"]}})",
       R"(images[0] must be an object with an imagePath, not "/a.png")"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a"},{"timestamp":1}]}})",
       "images[1].imagePath is missing; it must be a string"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":7}]}})",
       "images[0].imagePath must be a string, not 7"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a","timestamp":"0:42"}]}})",
       R"(images[0].timestamp must be a finite number, not "0:42")"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a","timestamp":1e400}]}})",
       "images[0].timestamp must be a finite number, not 1e400"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":"/a\u0000b"}]}})",
       "images[0].imagePath must be at most 4096 bytes without a NUL"},
      {R"({"id":1,"method":"describe_images","params":{"images":[{"imagePath":")" + std::string(4097, 'a') + "\"}]}}",
       "images[0].imagePath must be at most 4096 bytes without a NUL"},
      {R"({"id":1,"method":"vlm_infer"})", "messages is missing or empty"},
      {R"({"id":1,"method":"vlm_infer","params":{"rawPrompt":"x"}})", "messages is missing or empty"},
      {R"({"id":1,"method":"llm_infer","params":{"messages":[]}})", "rawPrompt or messages is needed"},
      {infer("vlm_infer", R"("x")"), R"(messages must be an array, not "x")"},
      {infer("vlm_infer", "[1]"), "messages[0] must be an object with a role and content, not 1"},
      {infer("vlm_infer", R"([{"role":"robot","content":""}])"),
       R"(messages[0].role must be "system", "user" or "assistant")"},
      {infer("vlm_infer", R"([{"content":""}])"), R"(messages[0].role must be "system", "user" or "assistant")"},
      {infer("vlm_infer", R"([{"role":"user"}])"), "messages[0].content must be a string or an array of parts"},
      {infer("vlm_infer", R"([{"role":"user","content":["x"]}])"),
       R"(messages[0].content[0] must be an object with a type, not "x")"},
      {infer("vlm_infer", R"([{"role":"user","content":"x"},{"role":"user","content":[{"type":"video"}]}])"),
       R"(messages[1].content[0].type must be "text" or "image")"},
      {infer("vlm_infer", R"([{"role":"user","content":[{"type":"text"}]}])"),
       "messages[0].content[0].text is missing"},
      {infer("vlm_infer", R"([{"role":"user","content":[{"type":"image"}]}])"),
       "messages[0].content[0].imagePath is missing"},
      {infer("text_infer", R"([{"role":"user","content":[{"type":"image","image":"/a"}]}])"),
       "messages[0].content[0] is an image, and this method takes text only"},
      {infer("llm_infer", R"([{"role":"user","content":[{"type":"image","image":"/a"}]}])"),
       "this method takes text only"},
      {infer("text_prompt_fit", R"([{"role":"user","content":[{"type":"image","image":"/a"}]}])"),
       "this method takes text only"},
      {R"({"id":1,"method":"llm_infer","params":{"rawPrompt":"x","think":"no"}})",
       R"(think must be true or false, not "no")"},
      {R"({"id":1,"method":"llm_prompt_fit","params":{"rawPrompt":"x","reservedTokens":-1}})",
       "reservedTokens must be a whole number from 0 to 1000000, not -1"},
      {R"({"id":1,"method":"load_llm","params":{"model":["a"]}})", "model must be a string, not an array"},
      {R"({"id":1,"method":"cancel"})", "request must be the id of a request"},
      {R"({"id":1,"method":"cancel","params":{"request":[1]}})", "request must be the id of a request"},
      {R"({"id":1,"method":"shutdown","params":{"ifUnused":1}})", "ifUnused must be true or false, not 1"},
  };
  for (const auto& [line, message] : wrong) {
    const BadRequest bad = refused(line);
    EXPECT_EQ(bad.id, "1") << line;
    EXPECT_EQ(bad.error.code, Errc::invalid_argument) << line;
    EXPECT_THAT(bad.error.message, HasSubstr(message)) << line;
  }
}

TEST(Request, AnImagePartMayNameItsPathInTwoWays) {
  EXPECT_EQ(decoded(infer("vlm_infer", R"([{"role":"user","content":[{"type":"image","image":"/a.png"}]}])")),
            decoded(infer("vlm_infer", R"([{"role":"user","content":[{"type":"image","imagePath":"/a.png"}]}])")));
}

TEST(Request, ARawPromptWinsOverMessagesUnlessItIsEmpty) {
  const auto content = [](const std::string& raw) {
    const std::string line =
        R"({"method":"llm_infer","params":{"messages":[{"role":"user","content":"m"}],"rawPrompt":)";
    return std::get<Infer>(decoded(line + raw + "}}").method).content;
  };
  EXPECT_EQ(content(R"("r")"), (PromptContent{.raw_prompt = "r"}));
  EXPECT_EQ(content(R"("")"), (PromptContent{.messages = {says("user", "m")}}));
  EXPECT_EQ(content("null"), (PromptContent{.messages = {says("user", "m")}}));
}

TEST(Request, ImagesAreLimited) {
  std::string line = R"({"id":1,"method":"describe_images","params":{"images":[)";
  for (std::size_t i = 0; i < kMaxImages; ++i) line += R"({"imagePath":"/a"},)";
  const BadRequest bad = refused(line + R"({"imagePath":"/a"}]}})");
  EXPECT_EQ(bad.id, "1");
  EXPECT_EQ(bad.error.code, Errc::too_large);
  EXPECT_EQ(bad.error.message, "images has more than 100000 entries");
  line.pop_back();
  EXPECT_EQ(std::get<DescribeImages>(decoded(line + "]}}").method).images.size(), kMaxImages);
}

TEST(Request, HostileLinesOfFullLengthAreReadInLinearTime) {
  const auto filled = [](const std::string& begin, const std::string& part, const std::string& end) {
    std::string line = begin;
    while (line.size() + part.size() + end.size() <= kMaxLineBytes) line += part;
    return line + end;
  };
  // Each of them would take hours if anything looked at all of the line for each of its parts.
  (void)decode_request(filled(R"({"method":"describe_images","params":{"images":[)", R"({"a":{}},)", "0]}}"));
  (void)decode_request(
      filled(R"({"method":"describe_images","params":{"images":[{"imagePath":"a")", R"(,"imagePath":"b")", "}]}}"));
  (void)decode_request(filled(R"({"method":"describe_images","params":{)", R"("batchSize":1,)", R"("x":0}})"));
  (void)decode_request(
      filled(R"({"method":"vlm_infer","params":{"messages":[)", R"({"role":"user","content":"x"},)", "0]}}"));
  (void)decode_request(filled(R"({"method":")", R"(\ud83d)", "\"}"));
  (void)decode_request(filled("", "9", ""));
  (void)decode_request(filled(R"({"id":)", "9", "}"));
  (void)decode_request(filled(R"({"method":"ping","params":{"a":[)", "[],", "0]}}"));
  (void)decode_request(filled("{", R"("\u0069d":1,)", R"("method":"ping"})"));
}

TEST(EncodeChecked, RefusesWhatCannotCrossTheWire) {
  const auto code = [](const auto& method) {
    const Result<std::string> line = encode_checked(Request{"1", method});
    EXPECT_FALSE(line);
    return line ? Errc::internal : line.error().code;
  };
  EXPECT_EQ(code(DescribeImages{.images = {{"/a\xFF.png", 0}}}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{.images = {{std::string("/a\0b", 4), 0}}}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{.images = {{"/a", std::numeric_limits<double>::quiet_NaN()}}}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{.images = {{"/a", 0}}, .prompt = "\xFF"}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{.images = {{"/a", 0}}, .batch_size = 256}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{}), Errc::invalid_argument);
  EXPECT_EQ(code(DescribeImages{.images = std::vector<Frame>(kMaxImages + 1, Frame{"/a", 0})}), Errc::too_large);
  EXPECT_EQ(code(DescribeImages{.images = std::vector<Frame>(10'000, Frame{std::string(1000, 'a'), 0})}),
            Errc::too_large);
  EXPECT_EQ(code(Infer{.content = {.messages = {says("user", "\xC3")}}}), Errc::invalid_argument);
  EXPECT_EQ(code(Infer{.method = Infer::Method::llm_infer, .content = {.raw_prompt = "\xC3"}}), Errc::invalid_argument);
  EXPECT_EQ(code(LoadLlm{"\xC3"}), Errc::invalid_argument);
}

TEST(EncodeChecked, NamesThePathThatIsNotUtf8) {
  const Request request{"1", DescribeImages{.images = {{"/a.png", 0}, {"/b\xFF.png", 0}}}};
  EXPECT_THAT(encode_checked(request).error().message, HasSubstr("/b\xEF\xBF\xBD.png is not UTF-8"));
  EXPECT_THAT(encode(request), HasSubstr(R"(/b\ufffd.png)"));
}

}  // namespace
}  // namespace escribano::protocol
