#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "recording/make_recording.h"
#include "recording/recording_file.h"
#include "support/run_command.h"

namespace escribano {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class OpenRecording : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return folder_.path() / name; }

  std::filesystem::path make(const std::string& name, std::vector<std::string> how = {}, double seconds = 4) const {
    std::vector<std::string> arguments = {"-f", "lavfi", "-i", clock_source("160x120", 10, seconds)};
    arguments.insert(arguments.end(), how.begin(), how.end());
    arguments.push_back(at(name));
    ffmpeg(arguments);
    return at(name);
  }

  std::filesystem::path cut(const std::filesystem::path& whole, const std::string& name, double share) const {
    const std::string bytes = read_bytes(whole);
    write_bytes(at(name), bytes.substr(0, static_cast<std::size_t>(share * static_cast<double>(bytes.size()))));
    return at(name);
  }

  static Error refusal(const std::filesystem::path& path) {
    auto opened = open_recording(path);
    EXPECT_FALSE(opened) << path;
    return opened ? Error{} : opened.error();
  }

  TempFolder folder_;
};

TEST_F(OpenRecording, SaysWhatIsKnownOfIt) {
  const auto path = make("a.mp4", {"-pix_fmt", "yuv420p", "-metadata", "creation_time=2026-01-31T12:34:56Z"});
  const auto source = open_or_throw(path);
  const RecordingInfo& info = source->info();
  EXPECT_THAT(info.id, MatchesRegex("[0-9a-f]+"));
  EXPECT_EQ(info.id.size(), 32u);
  EXPECT_EQ(info.path, path);
  EXPECT_EQ(info.bytes, std::filesystem::file_size(path));
  EXPECT_DOUBLE_EQ(info.duration_s, 4);
  EXPECT_EQ(info.width_px, 160);
  EXPECT_EQ(info.height_px, 120);
  EXPECT_EQ(info.codec, "h264");
  EXPECT_EQ(info.captured_at, "2026-01-31T12:34:56Z");
}

TEST_F(OpenRecording, ItsIdIsThatOfTheContentAlone) {
  const auto path = make("a.mkv");
  std::filesystem::copy_file(path, at("other name.mov"));
  const std::string id = recording_id(path).value();
  EXPECT_EQ(open_or_throw(path)->info().id, id);
  EXPECT_EQ(open_or_throw(at("other name.mov"))->info().id, id);
  std::string bytes = read_bytes(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_bytes(path, bytes);
  EXPECT_NE(recording_id(path).value(), id);
}

TEST_F(OpenRecording, APathRelativeToTheFolderBecomesAbsolute) {
  const auto path = make("a.mp4");
  const auto relative = std::filesystem::relative(path);
  EXPECT_TRUE(open_or_throw(relative)->info().path.is_absolute());
}

TEST_F(OpenRecording, ReadsWhateverContainerAndCodecThereIs) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"h264.mp4", {"-c:v", "libx264", "-bf", "3"}},
      {"h264.mov", {"-c:v", "libx264"}},
      {"h264.mkv", {"-c:v", "libx264"}},
      {"h264.ts", {"-c:v", "libx264", "-bf", "3"}},
      {"h264.flv", {"-c:v", "libx264"}},
      {"fragmented.mp4", {"-c:v", "libx264", "-movflags", "+frag_keyframe+empty_moov", "-g", "10"}},
      {"hevc.mp4", {"-c:v", "libx265", "-x265-params", "log-level=none"}},
      {"vp8.webm", {"-c:v", "libvpx"}},
      {"vp9.webm", {"-c:v", "libvpx-vp9", "-deadline", "realtime"}},
      {"mpeg4.avi", {"-c:v", "mpeg4", "-bf", "2", "-q:v", "2"}},
      {"mpeg2.mpg", {"-c:v", "mpeg2video", "-r", "25", "-q:v", "2"}},
      {"mjpeg.avi", {"-c:v", "mjpeg", "-q:v", "2"}},
      {"ffv1.mkv", {"-c:v", "ffv1"}},
      {"prores.mov", {"-c:v", "prores"}},
      {"animation.gif", {}},
      {"raw.y4m", {"-pix_fmt", "yuv420p"}},
      {"raw.nut", {"-c:v", "rawvideo", "-pix_fmt", "bgr24"}},
      {"raw.h264", {"-c:v", "libx264", "-r", "10"}},
  };
  for (const auto& [name, how] : kinds) {
    SCOPED_TRACE(name);
    const auto source = open_or_throw(make(name, how));
    EXPECT_NEAR(source->info().duration_s, 4, 0.13);
    EXPECT_EQ(source->info().width_px, 160);
    for (const double second : {0, 2, 3, 1}) EXPECT_EQ(clock_second(picture_or_throw(*source, second + 0.55)), second);
    const Sampling sampling = sample_or_throw(*source);
    EXPECT_THAT(sampling.warnings, IsEmpty());
    EXPECT_EQ(sampling.frames.front().timestamp_s, 0);
    EXPECT_EQ(clock_second(picture_or_throw(*source, sampling.frames.back().timestamp_s)), 3);
  }
}

TEST_F(OpenRecording, APathMayHoldAnyBytes) {
  const auto path = make("a.mp4");
  for (const std::string name :
       {"with spaces \"and\" 'quotes'.mp4", "line\nbreak", "not utf-8 \xff\xfe.mp4", "-y", "file:a.mp4",
        "http:", "concat:a|b", "pipe:0", "%03d.png", "*.mp4", "ünïcödé.mp4", "no-extension"}) {
    SCOPED_TRACE(name);
    std::filesystem::copy_file(path, at(name));
    EXPECT_EQ(clock_second(picture_or_throw(*open_or_throw(at(name)), 2.5)), 2);
  }
}

TEST_F(OpenRecording, WhatIsNotThereIsNotFound) {
  const Error error = refusal(at("nothing.mp4"));
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_THAT(error.message, HasSubstr("nothing.mp4"));
  EXPECT_EQ(recording_id(at("nothing.mp4")).error().code, Errc::not_found);
}

TEST_F(OpenRecording, AFolderIsNoRecording) {
  const Error error = refusal(folder_.path());
  EXPECT_EQ(error.code, Errc::unsupported);
  EXPECT_THAT(error.message, HasSubstr("folder"));
}

TEST_F(OpenRecording, APipeIsNoRecordingAndHangsNobody) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(refusal(at("pipe")).code, Errc::unsupported);
}

TEST_F(OpenRecording, AnEmptyFileIsCorrupt) {
  write_bytes(at("empty.mp4"), "");
  const Error error = refusal(at("empty.mp4"));
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, HasSubstr("empty"));
}

TEST_F(OpenRecording, WhatIsNoVideoIsUnsupported) {
  write_bytes(at("text.mp4"), std::string(5'000, 'x') + "\nwords, many words\n");
  write_bytes(at("readme.txt"), "Hello\n");
  std::string noise;
  for (unsigned i = 0, state = 1; i < 100'000; ++i)
    noise.push_back(static_cast<char>((state = state * 1664525 + 1013904223) >> 24));
  write_bytes(at("noise.mkv"), noise);
  write_bytes(at("one byte"), "x");
  for (const char* name : {"text.mp4", "readme.txt", "noise.mkv", "one byte"}) {
    const Error error = refusal(at(name));
    EXPECT_EQ(error.code, Errc::unsupported) << error.message;
    EXPECT_THAT(error.message, HasSubstr(name));
  }
}

TEST_F(OpenRecording, APictureIsNoRecording) {
  for (const char* name : {"a.png", "a.jpg", "a.webp", "a.bmp", "a.tiff"}) {
    ffmpeg({"-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", at(name)});
    const Error error = refusal(at(name));
    EXPECT_EQ(error.code, Errc::unsupported) << error.message;
    EXPECT_THAT(error.message, HasSubstr("picture")) << name;
  }
}

TEST_F(OpenRecording, SoundAloneIsUnsupported) {
  for (const char* name : {"a.m4a", "a.wav", "a.mp3", "a.ogg"}) {
    ffmpeg({"-f", "lavfi", "-i", "sine=d=1", at(name)});
    const Error error = refusal(at(name));
    EXPECT_EQ(error.code, Errc::unsupported);
    EXPECT_THAT(error.message, HasSubstr("only sound")) << name;
  }
}

TEST_F(OpenRecording, ACoverPictureDoesNotMakeSoundARecording) {
  ffmpeg({"-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", at("cover.png")});
  ffmpeg({"-f", "lavfi", "-i", "sine=d=1", "-i", at("cover.png"), "-map", "0", "-map", "1", "-c:v", "copy",
          "-disposition:v", "attached_pic", at("song.m4a")});
  EXPECT_THAT(refusal(at("song.m4a")).message, HasSubstr("only sound"));
}

TEST_F(OpenRecording, AmongSeveralStreamsTheDefaultAndThenTheLargestIsTaken) {
  ffmpeg({"-f",
          "lavfi",
          "-i",
          "testsrc=s=64x64:d=1",
          "-f",
          "lavfi",
          "-i",
          "testsrc=s=320x240:d=1",
          "-f",
          "lavfi",
          "-i",
          "sine=d=1",
          "-map",
          "0",
          "-map",
          "1",
          "-map",
          "2",
          "-disposition:v",
          "0",
          at("two.mkv")});
  EXPECT_EQ(open_or_throw(at("two.mkv"))->info().width_px, 320);
}

TEST_F(OpenRecording, AnMp4WithoutItsIndexSaysSo) {
  const Error error = refusal(cut(make("a.mp4", {"-c:v", "libx264"}), "cut.mp4", 0.6));
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, HasSubstr("cut off before its index"));
  EXPECT_THAT(error.message, HasSubstr("still being recorded"));
}

TEST_F(OpenRecording, AHeaderAloneIsCorrupt) {
  const auto path = make("a.mkv", {"-c:v", "libx264"});
  const std::string bytes = read_bytes(path);
  const std::size_t first_cluster = bytes.find("\x1F\x43\xB6\x75");
  ASSERT_NE(first_cluster, std::string::npos);
  write_bytes(at("header.mkv"), bytes.substr(0, first_cluster));
  const Error error = refusal(at("header.mkv"));
  EXPECT_EQ(error.code, Errc::corrupt) << error.message;
}

TEST_F(OpenRecording, ACodecThatIsMissingIsNamed) {
  const auto path = make("a.mp4", {"-c:v", "libx264"});
  std::string bytes = read_bytes(path);
  const std::size_t entry = bytes.find("avc1", bytes.find("stsd"));
  ASSERT_NE(entry, std::string::npos);
  bytes.replace(entry, 4, "qqqq");
  write_bytes(path, bytes);
  const Error error = refusal(path);
  EXPECT_EQ(error.code, Errc::unsupported);
  EXPECT_THAT(error.message, HasSubstr("qqqq"));
  EXPECT_THAT(error.message, HasSubstr("no decoder"));
}

TEST_F(OpenRecording, RecordingsCutOffInTheMiddleAreReadUpToThere) {
  const std::vector<std::string> h264 = {"-c:v", "libx264", "-g", "10"};
  std::vector<std::string> with_index_first = h264;
  with_index_first.insert(with_index_first.end(), {"-movflags", "+faststart"});
  std::vector<std::string> in_fragments = h264;
  in_fragments.insert(in_fragments.end(), {"-movflags", "+frag_keyframe+empty_moov"});
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"a.mkv", h264}, {"a.ts", h264}, {"index-first.mp4", with_index_first}, {"fragments.mp4", in_fragments}};
  for (const auto& [name, how] : kinds) {
    SCOPED_TRACE(name);
    const auto path = cut(make(name, how, 20), "cut-" + name, 0.55);
    const auto source = open_or_throw(path);
    EXPECT_GT(source->info().duration_s, 2);
    EXPECT_LT(source->info().duration_s, 16);
    SamplingOptions options;
    options.interval_s = 1;
    const Sampling sampling = sample_or_throw(*source, options);
    ASSERT_FALSE(sampling.warnings.empty());
    EXPECT_THAT(sampling.warnings.front(), HasSubstr("cut off"));
    EXPECT_GE(sampling.frames.size(), static_cast<std::size_t>(source->info().duration_s));
    for (const SampledFrame& frame : sampling.frames) {
      EXPECT_EQ(clock_second(picture_or_throw(*source, frame.timestamp_s)),
                static_cast<int>(frame.timestamp_s + 0.001));
    }
    EXPECT_GT(sampling.frames.back().timestamp_s, source->info().duration_s - 0.5);
    EXPECT_EQ(sampling.frames.back().reason, SampleReason::last);
  }
}

TEST_F(OpenRecording, WhatAnotherProgramIsWritingIsStillGrowing) {
  const auto path = make("a.mkv");
  {
    const std::ofstream writer(path, std::ios::binary | std::ios::app);
    const Error error = refusal(path);
#if defined(__linux__)
    EXPECT_EQ(error.code, Errc::overloaded);
    EXPECT_THAT(error.message, HasSubstr("still writing"));
#endif
  }
  EXPECT_TRUE(open_recording(path));
}

TEST_F(OpenRecording, WhatChangedAfterItWasOpenedIsNotSampled) {
  const auto path = make("a.mkv");
  const auto source = open_or_throw(path);
  std::ofstream(path, std::ios::binary | std::ios::app) << "more";
  EXPECT_EQ(source->sample({}, {}, {}).error().code, Errc::overloaded);
  EXPECT_EQ(source->picture(0).error().code, Errc::overloaded);
}

TEST_F(OpenRecording, ListsOfOtherFilesOpenNone) {
  make("part.ts", {"-c:v", "libx264"});
  const std::string part = at("part.ts").native();
  write_bytes(at("list.m3u8"), "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:4,\n" + part + "\n#EXT-X-ENDLIST\n");
  write_bytes(at("list.ffconcat"), "ffconcat version 1.0\nfile '" + part + "'\n");
  write_bytes(at("list.mpd"),
              "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
              "profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\"></MPD>\n");
  write_bytes(at("list.sdp"),
              "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 "
              "H264/90000\n");
  for (const char* name : {"list.m3u8", "list.ffconcat", "list.mpd", "list.sdp"}) {
    const Error error = refusal(at(name));
    EXPECT_EQ(error.code, Errc::unsupported) << error.message;
    EXPECT_THAT(error.message, HasSubstr("list of other files")) << name;
  }
}

TEST_F(OpenRecording, OpeningCanBeStopped) {
  const auto path = make("a.mp4");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(open_recording(path, stop.get_token()).error().code, Errc::cancelled);
  EXPECT_EQ(recording_id(path, stop.get_token()).error().code, Errc::cancelled);
}

TEST_F(OpenRecording, LibavWritesNothingToTheTerminal) {
  const auto path = cut(make("a.mkv", {"-c:v", "libx264"}), "cut.mkv", 0.5);
  ::testing::internal::CaptureStderr();
  const auto opened = open_recording(path);
  if (opened) static_cast<void>((*opened)->sample({}, {}, {}));
  static_cast<void>(open_recording(cut(path, "shorter.mp4", 0.1)));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(RecordingLibraries, SayTheirVersions) {
  EXPECT_THAT(recording_library_versions(), ::testing::Contains(MatchesRegex("libavformat [0-9]+[.][0-9]+[.][0-9]+")));
}

}  // namespace
}  // namespace escribano
