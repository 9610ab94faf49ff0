#include <cmath>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>

#include "image/hash.h"
#include "recording/make_recording.h"
#include "recording/recording_file.h"

namespace escribano {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

SamplingOptions every(double seconds) {
  SamplingOptions options;
  options.interval_s = seconds;
  return options;
}

std::vector<double> times(const Sampling& sampling) {
  std::vector<double> result;
  for (const SampledFrame& frame : sampling.frames) result.push_back(frame.timestamp_s);
  return result;
}

std::vector<double> times_of(const Sampling& sampling, SampleReason reason) {
  std::vector<double> result;
  for (const SampledFrame& frame : sampling.frames) {
    if (frame.reason == reason) result.push_back(frame.timestamp_s);
  }
  return result;
}

std::string hash_text(const Image& image) {
  const ImageHash hash = hash_image(image);
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

// What must be true of every sampling.
void expect_sound(FrameSource& source, const Sampling& sampling) {
  ASSERT_FALSE(sampling.frames.empty());
  for (std::size_t i = 0; i < sampling.frames.size(); ++i) {
    const SampledFrame& frame = sampling.frames[i];
    SCOPED_TRACE(frame.timestamp_s);
    if (i > 0) {
      EXPECT_GT(frame.timestamp_s, sampling.frames[i - 1].timestamp_s);
    }
    EXPECT_GE(frame.timestamp_s, 0);
    EXPECT_LE(frame.timestamp_s, source.info().duration_s);
    EXPECT_EQ(std::round(frame.timestamp_s * 1000) / 1000, frame.timestamp_s);
    if (frame.source) {
      ASSERT_LT(*frame.source, i);
      EXPECT_FALSE(sampling.frames[*frame.source].source) << "a source is described itself";
      EXPECT_THAT(frame.thumbnail, IsEmpty());
    } else {
      EXPECT_THAT(frame.thumbnail, Not(IsEmpty()));
    }
    EXPECT_EQ(hash_text(picture_or_throw(source, frame.timestamp_s)), frame.content_hash);
  }
}

std::filesystem::path session_a() {
  return std::filesystem::path(ESCRIBANO_SOURCE_DIR) / "assets/samples/session-a.mp4";
}

TEST(SampleOfTheSession, FindsEverySceneAndCoversItWhole) {
  const auto source = open_or_throw(session_a());
  const Sampling sampling = sample_or_throw(*source, every(2));
  EXPECT_THAT(sampling.warnings, IsEmpty());
  EXPECT_THAT(times_of(sampling, SampleReason::scene), ElementsAre(12, 24, 42, 57, 74, 112, 132, 158, 168));
  EXPECT_THAT(times_of(sampling, SampleReason::first), ElementsAre(0));
  EXPECT_THAT(times_of(sampling, SampleReason::last), ElementsAre(179.8));
  expect_sound(*source, sampling);
}

TEST(SampleOfTheSession, TheStillStretchIsDescribedOnce) {
  const auto source = open_or_throw(session_a());
  const Sampling sampling = sample_or_throw(*source, every(2));
  std::size_t described = 0;
  std::size_t unchanged = 0;
  for (const SampledFrame& frame : sampling.frames) {
    if (frame.timestamp_s < 84 || frame.timestamp_s >= 112) continue;
    frame.source ? ++unchanged : ++described;
    if (frame.source) {
      EXPECT_LE(frame.change, 4);
    }
  }
  EXPECT_EQ(described, 1u);
  EXPECT_EQ(unchanged, 13u);
  // Everywhere else the screen changes.
  for (const SampledFrame& frame : sampling.frames) {
    if (frame.timestamp_s < 84 || frame.timestamp_s >= 112) {
      EXPECT_FALSE(frame.source) << frame.timestamp_s;
    }
  }
}

TEST(SampleOfTheSession, IsTheSameEveryTimeAndAfterPictures) {
  const auto source = open_or_throw(session_a());
  const Sampling first = sample_or_throw(*source);
  static_cast<void>(picture_or_throw(*source, 100));
  static_cast<void>(picture_or_throw(*source, 3));
  EXPECT_EQ(sample_or_throw(*source).frames, first.frames);
  EXPECT_EQ(sample_or_throw(*open_or_throw(session_a())).frames, first.frames);
}

TEST(SampleOfTheSession, PicturesInAnyOrderAreTheSame) {
  const auto source = open_or_throw(session_a());
  const Sampling sampling = sample_or_throw(*source, every(17));
  for (auto frame = sampling.frames.rbegin(); frame != sampling.frames.rend(); ++frame) {
    EXPECT_EQ(hash_text(picture_or_throw(*source, frame->timestamp_s)), frame->content_hash) << frame->timestamp_s;
  }
}

TEST(SampleOfTheSession, KeptPicturesAreThoseThatAreDecoded) {
  const auto plain = open_or_throw(session_a());
  const Sampling sampling = sample_or_throw(*plain, every(17));
  // None, one or two, all.
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{400'000}, std::size_t{64} << 20}) {
    const auto keeping = open_or_throw(session_a());
    SamplingOptions options = every(17);
    options.kept_pictures_bytes = bytes;
    EXPECT_EQ(sample_or_throw(*keeping, options).frames, sampling.frames);
    for (const SampledFrame& frame : sampling.frames) {
      const std::string once = read_bytes(keeping->picture(frame.timestamp_s).value().path());
      EXPECT_TRUE(once == read_bytes(plain->picture(frame.timestamp_s).value().path())) << frame.timestamp_s;
      EXPECT_TRUE(once == read_bytes(keeping->picture(frame.timestamp_s).value().path())) << frame.timestamp_s;
    }
  }
}

TEST(SampleOfTheSession, ALongerIntervalGivesNoMoreFrames) {
  const auto source = open_or_throw(session_a());
  std::size_t before = SIZE_MAX;
  for (const double interval_s : {5.0, 7.5, 10.0, 15.0, 60.0, 1000.0}) {
    const Sampling sampling = sample_or_throw(*source, every(interval_s));
    EXPECT_LE(sampling.frames.size(), before);
    before = sampling.frames.size();
  }
  EXPECT_EQ(before, 11u);  // first, nine scenes, last
}

TEST(SampleOfTheSession, ItsProgressRisesToTheEnd) {
  const auto source = open_or_throw(session_a());
  std::vector<SamplingProgress> seen;
  ASSERT_TRUE(source->sample({}, [&](const SamplingProgress& progress) { seen.push_back(progress); }, {}));
  ASSERT_GT(seen.size(), 10u);
  for (std::size_t i = 1; i < seen.size(); ++i) {
    EXPECT_GE(seen[i].position_s, seen[i - 1].position_s);
    EXPECT_GE(seen[i].picked, seen[i - 1].picked);
  }
  EXPECT_EQ(seen.back().position_s, seen.back().duration_s);
}

TEST(SampleOfTheSession, CanBeStopped) {
  const auto source = open_or_throw(session_a());
  std::stop_source stop;
  const auto result = source->sample(
      {},
      [&](const SamplingProgress& progress) {
        if (progress.picked > 3) stop.request_stop();
      },
      stop.get_token());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
}

TEST(SampleOfTheSession, OptionsThatMakeNoSenseAreRefused) {
  const auto source = open_or_throw(session_a());
  EXPECT_EQ(source->sample(every(0), {}, {}).error().code, Errc::invalid_argument);
  SamplingOptions few;
  few.max_frames = 5;
  EXPECT_EQ(source->sample(few, {}, {}).error().code, Errc::too_large);
  EXPECT_EQ(source->picture(-1).error().code, Errc::invalid_argument);
  EXPECT_EQ(source->picture(181).error().code, Errc::invalid_argument);
  EXPECT_EQ(source->picture(std::nan("")).error().code, Errc::invalid_argument);
}

class SampleOfARecording : public ::testing::Test {
 protected:
  std::filesystem::path at(const std::string& name) const { return folder_.path() / name; }

  std::filesystem::path make(const std::string& name, const std::string& source,
                             const std::vector<std::string>& how) const {
    std::vector<std::string> arguments = {"-f", "lavfi", "-i", source};
    arguments.insert(arguments.end(), how.begin(), how.end());
    arguments.push_back(at(name));
    ffmpeg(arguments);
    return at(name);
  }

  TempFolder folder_;
};

TEST_F(SampleOfARecording, OneFrameIsOneSample) {
  for (const std::string name : {"one.mp4", "one.gif", "one.ts"}) {
    SCOPED_TRACE(name);
    const auto source = open_or_throw(
        make(name, "testsrc=s=160x120:r=10", {"-frames:v", "1", "-pix_fmt", name == "one.gif" ? "rgb8" : "yuv420p"}));
    const Sampling sampling = sample_or_throw(*source);
    EXPECT_THAT(times(sampling), ElementsAre(0));
    EXPECT_EQ(sampling.frames[0].reason, SampleReason::first);
    expect_sound(*source, sampling);
  }
}

TEST_F(SampleOfARecording, TimesBeginAtTheFirstFrame) {
  for (const std::string name : {"late.ts", "late.mkv", "late.mp4"}) {
    SCOPED_TRACE(name);
    const auto source =
        open_or_throw(make(name, clock_source("160x120", 10, 5),
                           {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-bf", "2", "-output_ts_offset", "77"}));
    EXPECT_NEAR(source->info().duration_s, 5, 0.001);
    const Sampling sampling = sample_or_throw(*source, every(1));
    EXPECT_THAT(times(sampling), ElementsAre(0, 1, 2, 3, 4, 4.9));
    for (const SampledFrame& frame : sampling.frames) {
      EXPECT_EQ(clock_second(picture_or_throw(*source, frame.timestamp_s)), std::floor(frame.timestamp_s));
    }
    expect_sound(*source, sampling);
  }
}

TEST_F(SampleOfARecording, AtAVariableRateTheFrameOnTheScreenIsTheLastThatAppeared) {
  // Frames at 0, 1, 2, 7.3 and 18 s, the last one for a second.
  for (const std::string name : {"vfr.mp4", "vfr.mkv", "vfr.webm"}) {
    SCOPED_TRACE(name);
    const auto source = open_or_throw(
        make(name, clock_source("160x120", 10, 19) + ",select='eq(n\\,0)+eq(n\\,10)+eq(n\\,20)+eq(n\\,73)+eq(n\\,180)'",
             {"-vsync", "vfr", "-pix_fmt", "yuv420p", "-c:v", name == "vfr.webm" ? "libvpx" : "libx264"}));
    const Sampling sampling = sample_or_throw(*source, every(4));
    EXPECT_THAT(times(sampling), ElementsAre(0, 4, 8, 12, 16, 18));
    std::vector<int> seconds;
    for (const SampledFrame& frame : sampling.frames)
      seconds.push_back(clock_second(picture_or_throw(*source, frame.timestamp_s)));
    EXPECT_THAT(seconds, ElementsAre(0, 2, 7, 7, 7, 18));
    EXPECT_EQ(sampling.frames[3].source, 2u);
    EXPECT_EQ(sampling.frames[4].source, 2u);
    EXPECT_EQ(sampling.frames[3].content_hash, sampling.frames[2].content_hash);
    EXPECT_EQ(clock_second(picture_or_throw(*source, 7.299)), 2);
    EXPECT_EQ(clock_second(picture_or_throw(*source, 7.3)), 7);
    expect_sound(*source, sampling);
  }
}

TEST_F(SampleOfARecording, WithOneKeyFrameOnlyEveryInstantIsFoundStill) {
  const auto source =
      open_or_throw(make("one-key.mp4", clock_source("160x120", 10, 20),
                         {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "10000", "-sc_threshold", "0", "-bf", "3"}));
  const Sampling sampling = sample_or_throw(*source, every(3));
  EXPECT_THAT(times(sampling), ElementsAre(0, 3, 6, 9, 12, 15, 18, 19.9));
  expect_sound(*source, sampling);
}

TEST_F(SampleOfARecording, IntraRefreshWithoutKeyFramesIsDecodedFromTheBeginning) {
  const auto source =
      open_or_throw(make("refresh.ts", clock_source("320x240", 10, 12),
                         {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-intra-refresh", "1", "-g", "20"}));
  const Sampling sampling = sample_or_throw(*source, every(2));
  EXPECT_EQ(sampling.frames.size(), 7u);
  for (const SampledFrame& frame : sampling.frames) {
    EXPECT_EQ(clock_second(picture_or_throw(*source, frame.timestamp_s)), std::floor(frame.timestamp_s));
  }
  expect_sound(*source, sampling);
}

TEST_F(SampleOfARecording, OpenGroupsOfPicturesAreFollowed) {
  const auto source =
      open_or_throw(make("open.mkv", clock_source("160x120", 10, 20),
                         {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-x264-params", "open-gop=1:keyint=20:bframes=3"}));
  const Sampling sampling = sample_or_throw(*source, every(0.7));
  for (const SampledFrame& frame : sampling.frames) {
    EXPECT_EQ(clock_second(picture_or_throw(*source, frame.timestamp_s)), static_cast<int>(frame.timestamp_s + 0.001));
  }
  expect_sound(*source, sampling);
}

TEST_F(SampleOfARecording, WhereEveryFrameIsAKeyFrameScenesAreFoundWithinASecond) {
  const auto source = open_or_throw(
      make("intra.mkv", "color=black:s=320x240:r=10:d=12,format=gray,geq=lum='60+120*gte(T\\,6)'", {"-c:v", "ffv1"}));
  const Sampling sampling = sample_or_throw(*source, every(100));
  ASSERT_EQ(sampling.frames.size(), 3u);
  EXPECT_EQ(sampling.frames[1].reason, SampleReason::scene);
  EXPECT_GE(sampling.frames[1].timestamp_s, 6);
  EXPECT_LE(sampling.frames[1].timestamp_s, 7);
}

TEST_F(SampleOfARecording, SmallChangesAddUpUntilTheyAreSeen) {
  // One level brighter with every second: less than any threshold from frame to frame.
  const auto source = open_or_throw(
      make("drift.mkv", "color=black:s=160x120:r=5:d=20,format=gray,geq=lum='60+floor(T+0.001)'", {"-c:v", "ffv1"}));
  const Sampling sampling = sample_or_throw(*source, every(1));
  std::vector<double> described;
  for (const SampledFrame& frame : sampling.frames) {
    if (!frame.source) described.push_back(frame.timestamp_s);
  }
  EXPECT_THAT(described, ElementsAre(0, 5, 10, 15));
}

TEST_F(SampleOfARecording, AScreenThatComesBackToTheBitIsNotDescribedAgain) {
  const auto source = open_or_throw(
      make("back.mkv", "color=black:s=160x120:r=5:d=20,format=gray,geq=lum='60+100*mod(floor(T/5+0.001)\\,2)'",
           {"-c:v", "ffv1"}));
  for (const UnchangedRule rule : {UnchangedRule::exact, UnchangedRule::still, UnchangedRule::similar}) {
    SamplingOptions options = every(2.5);
    options.unchanged = rule;
    const Sampling sampling = sample_or_throw(*source, options);
    std::set<std::size_t> sources;
    for (const SampledFrame& frame : sampling.frames) {
      if (frame.source) sources.insert(*frame.source);
    }
    EXPECT_EQ(sources.size(), rule == UnchangedRule::similar ? 1u : 2u);  // a flat picture has no gradients
    EXPECT_EQ(sampling.frames.size() > 6, true);
  }
}

TEST_F(SampleOfARecording, WithTheExactRuleNoiseIsAChange) {
  SamplingOptions options = every(2);
  options.unchanged = UnchangedRule::exact;
  const auto source = open_or_throw(session_a());
  const Sampling sampling = sample_or_throw(*source, options);
  std::set<std::string> described;
  for (const SampledFrame& frame : sampling.frames) {
    EXPECT_EQ(frame.source.has_value(), described.contains(frame.content_hash));
    described.insert(frame.content_hash);
  }
  EXPECT_LT(described.size(), sampling.frames.size());
}

TEST_F(SampleOfARecording, ADamagedStretchIsReportedAndNothingOfItIsShownAsSound) {
  const auto whole = make("whole.mkv", clock_source("160x120", 10, 60) + ",noise=alls=12:allf=t",
                          {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "50", "-sc_threshold", "0", "-crf", "20"});
  for (const std::string name : {"damaged.mp4", "damaged.mkv", "damaged.ts"}) {
    SCOPED_TRACE(name);
    const auto path = at(name);
    ffmpeg({"-i", whole, "-c", "copy", path});
    std::string bytes = read_bytes(path);
    // A third of the pictures, in the middle; not the index of an MP4, which lies behind them.
    const std::size_t size = std::min(bytes.rfind("moov"), bytes.size());
    for (std::size_t i = size / 3; i < 2 * size / 3; ++i) {
      if (i % 97 == 0) bytes[i] = static_cast<char>(bytes[i] ^ 0x5A);
    }
    write_bytes(path, bytes);
    const auto source = open_or_throw(path);
    SamplingOptions options = every(2);
    options.scene_min_interval_s = 1000;  // no scene changes, for the grid to be seen
    const Sampling sampling = sample_or_throw(*source, options);
    EXPECT_THAT(sampling.warnings, Contains(HasSubstr("damaged")));
    EXPECT_LE(sampling.frames.size(), 31u);
    EXPECT_GE(sampling.frames.size(), 15u);
    for (const SampledFrame& frame : sampling.frames) {
      if (frame.reason == SampleReason::gap) continue;
      // Matroska passes over clusters that it cannot read without a word: that looks as if the screen stood still.
      if (name == "damaged.mkv" && frame.timestamp_s > 15 && frame.timestamp_s < 45) continue;
      EXPECT_EQ(clock_second(picture_or_throw(*source, frame.timestamp_s)), static_cast<int>(frame.timestamp_s) % 20)
          << frame.timestamp_s;
    }
    EXPECT_THAT(times(sampling), IsSupersetOf({0.0, 2.0, 4.0, 58.0, 59.9}));
  }
}

TEST_F(SampleOfARecording, AHoleInTheMiddleIsReported) {
  const auto path = make("hole.ts", clock_source("160x120", 10, 60) + ",noise=alls=6:allf=t",
                         {"-pix_fmt", "yuv420p", "-c:v", "libx264", "-g", "20", "-sc_threshold", "0"});
  const std::string bytes = read_bytes(path);
  const std::size_t third = bytes.size() / 3 / 188 * 188;
  write_bytes(path, bytes.substr(0, third) + bytes.substr(2 * third));
  const auto source = open_or_throw(path);
  const Sampling sampling = sample_or_throw(*source, every(2));
  expect_sound(*source, sampling);
  EXPECT_NEAR(source->info().duration_s, 60, 0.2);
}

TEST_F(SampleOfARecording, ThumbnailsAreAsWideAsAskedForAndNeverEnlarged) {
  const auto source = open_or_throw(make("small.mp4", "testsrc=s=200x100:r=5:d=1", {"-pix_fmt", "yuv420p"}));
  SamplingOptions options;
  options.thumbnail_width_px = 64;
  EXPECT_EQ(load_image_bytes(sample_or_throw(*source, options).frames[0].thumbnail).size(), (Size{64, 32}));
  options.thumbnail_width_px = 1024;
  EXPECT_EQ(load_image_bytes(sample_or_throw(*source, options).frames[0].thumbnail).size(), (Size{200, 100}));
}

}  // namespace
}  // namespace escribano
