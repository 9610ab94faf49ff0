#pragma once

// A recording that does not exist, a model that does as it is told, and a store that fails on demand: for the faults that the
// real ones do not show when asked.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "domain/frame_source.h"
#include "domain/intelligence_service.h"
#include "domain/store.h"

namespace escribano {

// One frame every 10 s; each shows something else, but those of `unchanged`, which show what the one before shows.
class FakeSource final : public FrameSource {
 public:
  explicit FakeSource(std::size_t frames);

  const RecordingInfo& info() const override { return info_; }
  Result<Sampling> sample(const SamplingOptions& options,
                          const std::function<void(const SamplingProgress&)>& on_progress,
                          std::stop_token stop) override;
  Result<AnonymousFile> picture(double timestamp_s) override;

  std::set<std::size_t> unchanged;
  std::set<double> undecodable;
  std::vector<std::string> warnings;
  std::size_t samplings = 0;

 private:
  RecordingInfo info_;
  std::size_t frames_;
};

// Describes a frame by its timestamp, so that every mix-up shows, and answers prompts as told.
class FakeModel final : public IntelligenceService {
 public:
  DescribeOutcome describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                  const OnImageProcessed& on_image_processed) override;
  Result<GeneratedText> generate_text(std::string_view prompt, const GenerateOptions& options) override;

  std::set<double> fails;      // frames that fail
  std::set<double> unparsed;   // frames whose answer has not the form
  std::set<double> deadly;     // frames that take the model's process down
  std::optional<Error> error;  // of every call
  std::function<void()> before_call;
  std::function<Result<GeneratedText>(std::string_view)> write;

  std::vector<std::vector<double>> calls;  // the frames of each call
  std::vector<std::string> prompts;
};

// A store whose `fail_at`-th write fails, counted from 1, before anything is written.
class FaultyStore final : public Store {
 public:
  explicit FaultyStore(Store& store) : store_(store) {}

  std::size_t fail_at = 0;
  std::size_t writes = 0;

  Status add_recording(const RecordingInfo& info, std::string_view now) override {
    return guarded([&] { return store_.add_recording(info, now); });
  }
  Result<StoredRecording> recording(std::string_view id) override { return store_.recording(id); }
  Result<std::vector<StoredRecording>> recordings() override { return store_.recordings(); }
  Status reset_recording(std::string_view id, std::string_view now) override {
    return guarded([&] { return store_.reset_recording(id, now); });
  }
  Status save_sampling(std::string_view id, const Sampling& sampling, std::string_view key,
                       std::string_view now) override {
    return guarded([&] { return store_.save_sampling(id, sampling, key, now); });
  }
  Status restart_description(std::string_view id, std::string_view key, std::string_view now) override {
    return guarded([&] { return store_.restart_description(id, key, now); });
  }
  Result<std::vector<Observation>> observations(std::string_view id) override { return store_.observations(id); }
  Status save_observations(std::string_view id, std::span<const Observation> observations) override {
    return guarded([&] { return store_.save_observations(id, observations); });
  }
  Status finish_description(std::string_view id, std::string_view now) override {
    return guarded([&] { return store_.finish_description(id, now); });
  }
  Status save_segments(std::string_view id, std::span<const Segment> segments, std::string_view key,
                       std::string_view now) override {
    return guarded([&] { return store_.save_segments(id, segments, key, now); });
  }
  Result<std::vector<Segment>> segments(std::string_view id) override { return store_.segments(id); }
  Status save_artefacts(std::string_view id, std::span<const Artefact> artefacts, std::string_view now) override {
    return guarded([&] { return store_.save_artefacts(id, artefacts, now); });
  }
  Result<std::vector<Artefact>> artefacts(std::string_view id) override { return store_.artefacts(id); }
  Result<std::vector<Thumbnail>> thumbnails(std::string_view id) override { return store_.thumbnails(id); }
  Result<std::int64_t> begin_run(std::string_view id, std::string_view program, std::string_view now) override {
    return store_.begin_run(id, program, now);
  }
  Status add_step(std::int64_t run, const StepStats& stats) override { return store_.add_step(run, stats); }
  Result<std::vector<StoredRun>> runs(std::string_view id) override { return store_.runs(id); }
  Result<std::vector<SearchHit>> search(std::string_view words, const SearchOptions& options) override {
    return store_.search(words, options);
  }

 private:
  template <class Write>
  Status guarded(Write write) {
    if (++writes == fail_at) return fail(Errc::io_error, "the disk is full");
    return write();
  }
  Store& store_;
};

}  // namespace escribano
