#include "protocol/frame_result.h"

#include <gtest/gtest.h>

namespace escribano::protocol {
namespace {

TEST(EncodeFrameResult, HasTheSevenKeysInOrderAndNothingThatDoesNotApply) {
  FrameResult result;
  result.index = 3;
  result.timestamp_s = 42.5;
  result.image_path = "/f.png";
  result.description = "A \"page\" \xC3\xA9";
  result.activity = "reading";
  result.apps = {"Chrome"};
  EXPECT_EQ(
      encode(result),
      R"({"index":3,"timestamp":42.5,"imagePath":"/f.png","description":"A \"page\" \u00e9","activity":"reading",)"
      R"("apps":["Chrome"],"topics":[],"stats":{"prompt_tokens":0,"generation_tokens":0,"drafted_tokens":0,"accepted_tokens":0,"image_tokens":0,)"
      R"("image_width_px":0,"image_height_px":0,"load_ms":0.0,"encode_ms":0.0,"prefill_ms":0.0,"decode_ms":0.0,)"
      R"("attempts":1,"reused":"none","finish_reason":"stop"}})");
}

TEST(EncodeFrameResult, AWholeTimestampStaysWhole) {
  FrameResult result;
  result.timestamp_s = 60;
  EXPECT_NE(encode(result).find("\"timestamp\":60,"), std::string::npos);
}

TEST(EncodeFrameResult, FailedAndUnparsedFramesSayWhy) {
  FrameResult failed;
  failed.error = Error{Errc::not_found, "/x.png: No such file"};
  EXPECT_NE(encode(failed).find(R"("error":{"code":"not_found","message":"/x.png: No such file"})"), std::string::npos);
  EXPECT_NE(encode(failed).find(R"("activity":"unknown")"), std::string::npos);
  failed.stats.attempts = 0;
  EXPECT_EQ(encode(failed).find("finish_reason"), std::string::npos);
  FrameResult unparsed;
  unparsed.raw_response = "I see a screen.";
  EXPECT_NE(encode(unparsed).find(R"("raw_response":"I see a screen.")"), std::string::npos);
}

TEST(EncodeFrameResult, BytesThatAreNotUtf8DoNotThrowAndLinesStayLines) {
  FrameResult result;
  result.image_path = "a\xFF\n.png";
  const std::string line = encode(result);
  EXPECT_NE(line.find(R"(a\ufffd\n.png)"), std::string::npos);
  EXPECT_EQ(line.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace escribano::protocol
