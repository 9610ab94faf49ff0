#include "protocol/answer.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "protocol/frame_result.h"

namespace escribano::protocol {
namespace {

using testing::HasSubstr;

DecodedAnswer decoded(std::string_view line) {
  const auto answer = decode_answer(line);
  EXPECT_TRUE(answer) << line << ": " << answer.error().message;
  return answer ? *answer : DecodedAnswer{};
}

template <class Body>
Body body_of(std::string_view line) {
  const DecodedAnswer answer = decoded(line);
  EXPECT_TRUE(std::holds_alternative<Body>(answer.answer.body)) << line;
  return std::holds_alternative<Body>(answer.answer.body) ? std::get<Body>(answer.answer.body) : Body{};
}

FrameResult described() {
  FrameResult result;
  result.index = 4;
  result.timestamp_s = 42.5;
  result.image_path = "/f\xC3\xA9.png";
  result.description = "A \"page\"";
  result.activity = "reading";
  result.apps = {"Chrome", "Terminal"};
  result.stats = {.prompt_tokens = 100,
                  .generation_tokens = 20,
                  .load_ms = 1.25,
                  .finish_reason = "length",
                  .attempts = 2,
                  .reused = "cache"};
  return result;
}

FrameResult failed() {
  FrameResult result;
  result.index = 5;
  result.error = Error{Errc::not_found, "/x.png: No such file"};
  result.stats.attempts = 0;
  return result;
}

BridgeStatus some_status() {
  BridgeStatus status;
  status.model = "demo";
  status.mode = Mode::llm;
  status.loaded = true;
  status.clients = 2;
  status.requests = 3;
  status.queued_frames = 40;
  status.running_sequences = 4;
  status.frames_done = 100;
  status.frames_unparsed = 1;
  status.frames_failed = 2;
  status.frames_reused = 30;
  status.prompt_tokens = 50000;
  status.generation_tokens = 6000;
  status.load_s = 1.5;
  status.encode_s = 2.5;
  status.prefill_s = 3.5;
  status.decode_s = 4.5;
  status.decode_steps = 700;
  status.images_encoded = 70;
  status.cache_bytes = 1000;
  status.cache_limit_bytes = 2000;
  status.drafted_tokens = 300;
  status.accepted_tokens = 200;
  status.resident_bytes = 18446744073;
  status.uptime_s = 12.25;
  status.pid = 4711;
  return status;
}

std::vector<std::pair<Answer, std::string>> examples() {
  return {
      {{"123", BatchAnswer{1, {described(), failed()}, true, {4, 12}}},
       R"({"id":123,"batch":1,"results":[)" + encode(described()) + "," + encode(failed()) +
           R"(],"partial":true,"progress":{"current":4,"total":12}})"},
      {{"1e400", BatchAnswer{3, {}, false, {12, 12}}},
       R"({"id":1e400,"batch":3,"results":[],"partial":false,"progress":{"current":12,"total":12}})"},
      {{"123", DoneAnswer{}}, R"({"id":123,"done":true})"},
      {{R"("a\u00e9")", ErrorAnswer{{Errc::not_found, "no \xC3\xA9 \xFF\n"}}},
       R"({"id":"a\u00e9","error":"no \u00e9 \ufffd\n","code":"not_found","done":true})"},
      {{"1", TextAnswer{"A\n\"B\"", 12, 5, 100.12345, 20, 1.5, 0.25, "length"}},
       R"({"id":1,"text":"A\n\"B\"","stats":{"prompt_tokens":12,"generation_tokens":5,"total_tokens":17,)"
       R"("prompt_tps":100.123,"generation_tps":20.0,"peak_memory_gb":1.5,"generate_time_s":0.25,)"
       R"("finish_reason":"length"},"done":true})"},
      {{"1", PromptFitAnswer{true, 10, 32768, 8000, 16384, 8384}},
       R"({"id":1,"fits":true,"prompt_tokens":10,"context_limit":32768,"requested_output_tokens":8000,)"
       R"("reserved_tokens":16384,"safe_input_budget":8384,"done":true})"},
      {{"1", PromptFitAnswer{false, 10, 4096, 8000, 2048, -5952}},
       R"({"id":1,"fits":false,"prompt_tokens":10,"context_limit":4096,"requested_output_tokens":8000,)"
       R"("reserved_tokens":2048,"safe_input_budget":-5952,"done":true})"},
      {{"1", StatusWordAnswer{"shutting_down"}}, R"({"id":1,"status":"shutting_down","done":true})"},
      {{"1", PongAnswer{}}, R"({"id":1,"pong":true,"text":"","done":true})"},
      {{"1", some_status()},
       R"({"id":1,"status":{"schema":1,"model":"demo","mode":"llm","loaded":true,"pid":4711,"uptime_s":12.25,)"
       R"("resident_bytes":18446744073,"clients":2,"requests":3,"queued_frames":40,"running_sequences":4,)"
       R"("frames":{"done":100,"unparsed":1,"failed":2,"reused":30},)"
       R"("tokens":{"prompt":50000,"generation":6000,"drafted":300,"accepted":200},)"
       R"("time":{"load_s":1.5,"encode_s":2.5,"prefill_s":3.5,"decode_s":4.5},)"
       R"("work":{"images_encoded":70,"decode_steps":700},"cache":{"bytes":1000,"limit_bytes":2000}},"done":true})"},
  };
}

TEST(Answer, EveryFormHasItsLineInBothDirections) {
  for (const auto& [answer, line] : examples()) {
    EXPECT_EQ(encode(answer), line + "\n");
    const DecodedAnswer again = decoded(line);
    EXPECT_EQ(encode(again.answer), line + "\n");
    EXPECT_EQ(again.done, answer.last()) << line;
  }
}

TEST(Answer, ABatchIsReadWithAllItsFields) {
  const auto batch = body_of<BatchAnswer>(examples().front().second);
  EXPECT_EQ(batch.batch, 1U);
  EXPECT_EQ(batch.results, (std::vector{described(), failed()}));
  EXPECT_TRUE(batch.partial);
  EXPECT_EQ(batch.progress.current, 4U);
  EXPECT_EQ(batch.progress.total, 12U);
}

TEST(Answer, ADoneOnTheLastBatchIsBoth) {
  const std::string line =
      R"({"id": 123, "batch": 3, "results": [], "partial": false, "progress": {"current": 12, "total": 12}, "done": true})";
  EXPECT_TRUE(decoded(line).done);
  EXPECT_EQ(body_of<BatchAnswer>(line).batch, 3U);
  EXPECT_FALSE(body_of<BatchAnswer>(R"({"id":1,"results":[],"done":true})").partial);
  EXPECT_TRUE(body_of<BatchAnswer>(R"({"id":1,"results":[],"done":false})").partial);
}

TEST(Answer, WhatAForeignBridgeLeavesOutHasDefaults) {
  const auto batch = body_of<BatchAnswer>(
      R"({"id":1,"results":[{"timestamp":7,"imagePath":"/a","description":null,"apps":null},{}],"stats":{"x":1},"progress":null})");
  EXPECT_EQ(batch.batch, 1U);
  EXPECT_TRUE(batch.partial);
  EXPECT_EQ(batch.progress.total, 0U);
  FrameResult first;
  first.timestamp_s = 7;
  first.image_path = "/a";
  EXPECT_EQ(batch.results, (std::vector{first, FrameResult{}}));
  const auto text = body_of<TextAnswer>(R"({"id":1,"text":"x","stats":{"peak_memory_gb":4},"done":true})");
  EXPECT_EQ(text.text, "x");
  EXPECT_EQ(text.peak_memory_gb, 4);
  EXPECT_EQ(text.finish_reason, "stop");
  EXPECT_EQ(body_of<StatusWordAnswer>(R"({"id":1,"status":"shutting_down"})").word, "shutting_down");
  EXPECT_TRUE(decoded(R"({"id":1,"status":"shutting_down"})").done);
}

TEST(Answer, ErrorsComeInManyShapes) {
  const auto error = [](std::string_view line) {
    EXPECT_TRUE(decoded(line).done);
    return body_of<ErrorAnswer>(line).error;
  };
  EXPECT_EQ(error(R"({"id":1,"error":"bad"})"), (Error{Errc::backend_error, "bad"}));
  EXPECT_EQ(error(R"({"id":1,"error":"bad","code":"cancelled","done":true})"), (Error{Errc::cancelled, "bad"}));
  EXPECT_EQ(error(R"({"id":1,"error":"bad","code":"E42"})"), (Error{Errc::backend_error, "bad"}));
  EXPECT_EQ(error(R"({"id":1,"error":{"code":"overloaded","message":"full"}})"), (Error{Errc::overloaded, "full"}));
  EXPECT_EQ(error(R"({"id":1,"error":{}})"), (Error{Errc::backend_error, "the bridge gave no reason"}));
  EXPECT_EQ(error(R"({"id":1,"error":""})"), (Error{Errc::backend_error, "the bridge gave no reason"}));
  EXPECT_EQ(error(R"({"error":"Invalid JSON"})"), (Error{Errc::backend_error, "Invalid JSON"}));
  EXPECT_EQ(error(R"({"id":1,"batch":2,"error":"bad","partial":true,"progress":{"current":8,"total":12}})").message,
            "bad");
  EXPECT_EQ(body_of<BatchAnswer>(R"({"id":1,"results":[],"error":null})").results.size(), 0U);
}

TEST(Answer, ErrorsOfFramesComeAsTextOrObject) {
  const auto batch = body_of<BatchAnswer>(
      R"({"id":1,"results":[{"error":"gone"},{"error":{"code":"corrupt","message":"no JPEG"}},{"error":null,"raw_response":""}]})");
  ASSERT_EQ(batch.results.size(), 3U);
  EXPECT_EQ(batch.results[0].error, (Error{Errc::backend_error, "gone"}));
  EXPECT_EQ(batch.results[1].error, (Error{Errc::corrupt, "no JPEG"}));
  EXPECT_EQ(batch.results[2].status(), FrameStatus::unparsed);
}

TEST(Answer, IdsOfAllKindsAreKeptAsTheyCame) {
  for (const std::string id :
       {"0", "-7", "1e400", "123456789012345678901234567890", "1.50", "null", R"("a\u00e9\n")"}) {
    const std::string line = R"({"id":)" + id + R"(,"done":true})";
    EXPECT_EQ(decoded(line).answer.id, id);
    EXPECT_EQ(encode(decoded(line).answer), line + "\n");
  }
}

TEST(Answer, WhatIsNoneIsAProtocolError) {
  for (const std::string& line : std::vector<std::string>{
           "",
           "hello",
           "[]",
           "7",
           "null",
           "{\"id\":1,\"text\":\"\xFF\"}",
           R"({"id":1})",
           R"({"id":1,"done":false})",
           R"({"id":1,"results":null})",
           R"({"id":1,"pong":false})",
           R"({"done":true})",
           R"({"results":[]})",
           R"({"id":[],"done":true})",
           R"({"id":{},"error":"x"})",
           R"({"id":true,"done":true})",
           R"({"id":1,"done":"yes"})",
           R"({"id":1,"error":7})",
           R"({"id":1,"error":["x"]})",
           R"({"id":1,"error":{"message":7}})",
           R"({"id":1,"error":"x","code":7})",
           R"({"id":1,"results":{}})",
           R"({"id":1,"results":[7]})",
           R"({"id":1,"results":[null]})",
           R"({"id":1,"results":[{"index":-1}]})",
           R"({"id":1,"results":[{"index":"0"}]})",
           R"({"id":1,"results":[{"index":0.5}]})",
           R"({"id":1,"results":[{"index":99999999999999999999}]})",
           R"({"id":1,"results":[{"timestamp":"1"}]})",
           R"({"id":1,"results":[{"timestamp":1e400}]})",
           R"({"id":1,"results":[{"imagePath":1}]})",
           R"({"id":1,"results":[{"description":[]}]})",
           R"({"id":1,"results":[{"activity":{}}]})",
           R"({"id":1,"results":[{"apps":"Chrome"}]})",
           R"({"id":1,"results":[{"apps":["Chrome",7]}]})",
           R"({"id":1,"results":[{"topics":[null]}]})",
           R"({"id":1,"results":[{"raw_response":7}]})",
           R"({"id":1,"results":[{"error":7}]})",
           R"({"id":1,"results":[{"stats":[]}]})",
           R"({"id":1,"results":[{"stats":{"prompt_tokens":-1}}]})",
           R"({"id":1,"results":[{"stats":{"prompt_tokens":3000000000}}]})",
           R"({"id":1,"results":[{"stats":{"load_ms":"1"}}]})",
           R"({"id":1,"results":[],"batch":-1})",
           R"({"id":1,"results":[],"partial":1})",
           R"({"id":1,"results":[],"progress":7})",
           R"({"id":1,"results":[],"progress":{"current":"4"}})",
           R"({"id":1,"text":7})",
           R"({"id":1,"text":"","stats":7})",
           R"({"id":1,"pong":"yes"})",
           R"({"id":1,"fits":"yes"})",
           R"({"id":1,"fits":true,"prompt_tokens":1e10})",
           R"({"id":1,"status":7})",
           R"({"id":1,"status":{"frames":7}})",
           R"({"id":1,"status":{"frames":{"done":-1}}})",
       }) {
    const auto answer = decode_answer(line);
    ASSERT_FALSE(answer) << line;
    EXPECT_EQ(answer.error().code, Errc::protocol_error) << line;
    EXPECT_FALSE(answer.error().message.empty()) << line;
  }
  EXPECT_EQ(decode_answer(R"({"id":1,"results":[)" + std::string(200, '[')).error().code, Errc::too_large);
}

TEST(Answer, AWrongTypeIsNamedWithItsPlace) {
  EXPECT_EQ(decode_answer(R"({"id":1,"results":[{},{"stats":{"load_ms":"fast"}}]})").error().message,
            R"(results[1].stats.load_ms must be a finite number, not "fast")");
}

TEST(DecodeFrameResult, ReadsWhatEncodeWrote) {
  for (const FrameResult& result : {described(), failed(), FrameResult{}}) {
    const Result<FrameResult> again = decode_frame_result(encode(result));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(*again, result);
  }
  EXPECT_EQ(decode_frame_result("[]").error().code, Errc::protocol_error);
  EXPECT_EQ(decode_frame_result("{").error().code, Errc::protocol_error);
  EXPECT_THAT(decode_frame_result(R"({"apps":7})").error().message, HasSubstr("apps must be an array, not 7"));
}

TEST(Announcement, ReadyAndFatalHaveTheirLines) {
  const Announcement ready{.model = "demo", .mode = "vlm", .socket = "/tmp/x\xC3\xA9.sock", .pid = 4711};
  const std::string line = R"({"status":"ready","model":"demo","mode":"vlm","socket":"/tmp/x\u00e9.sock","pid":4711})";
  EXPECT_EQ(encode(ready), line + "\n");
  const auto again = decode_announcement(line);
  ASSERT_TRUE(again);
  EXPECT_EQ(encode(*again), line + "\n");
  EXPECT_FALSE(again->fatal);
  const Announcement fatal{.fatal = Error{Errc::model_invalid, "no \"model\""}};
  const std::string fatal_line = R"({"status":"fatal","error":"no \"model\"","code":"model_invalid"})";
  EXPECT_EQ(encode(fatal), fatal_line + "\n");
  EXPECT_EQ(decode_announcement(fatal_line)->fatal, fatal.fatal);
}

TEST(Announcement, OfAForeignBridgeIsReadAsFarAsItGoes) {
  EXPECT_EQ(decode_announcement(R"({"status": "ready"})")->model, "");
  const auto ready = decode_announcement(R"({"status":"ready","model":7,"mode":"llm","pid":-1,"x":[]})");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->model, "");
  EXPECT_EQ(ready->mode, "llm");
  EXPECT_EQ(ready->pid, 0);
  EXPECT_EQ(decode_announcement(R"({"status":"fatal","error":"no"})")->fatal, (Error{Errc::bridge_unavailable, "no"}));
  EXPECT_EQ(decode_announcement(R"({"status":"fatal"})")->fatal->code, Errc::bridge_unavailable);
  EXPECT_EQ(decode_announcement(R"({"status":"fatal","error":7})")->fatal->code, Errc::bridge_unavailable);
}

TEST(Announcement, OtherLinesAreNone) {
  for (const char* line :
       {"", "Loading model...", "[MLX] ready", "{}", "[]", "7", R"({"status":"loading"})", R"({"status":7})",
        R"({"id":1,"status":{"schema":1}})", "{\"status\":\"ready\"", "{\"status\":\"ready\",\"model\":\"\xFF\"}"}) {
    EXPECT_FALSE(decode_announcement(line)) << line;
  }
}

}  // namespace
}  // namespace escribano::protocol
