#include "pipeline/process.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "pipeline/describe_step.h"
#include "pipeline/fingerprint.h"

namespace escribano {
namespace {

// Times a step and keeps what became of it with the run, however the step ends.
class StepRecord {
 public:
  StepRecord(Store& store, std::int64_t run, Step step) : store_(store), run_(run) { stats.step = step_name(step); }

  // `status` as it came in, unless the store fails now.
  Status finish(const Status& status) {
    stats.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    stats.outcome = status ? "done" : status.error().code == Errc::cancelled ? "cancelled" : "failed";
    if (!status) {
      stats.detail = status.error().message;
      (void)store_.add_step(run_, stats);  // the first failure is the one to tell
      return status;
    }
    return store_.add_step(run_, stats);
  }

  StepStats stats;

 private:
  Store& store_;
  std::int64_t run_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

std::string frames_text(std::size_t count) { return fmt::format("{} {}", count, count == 1 ? "frame" : "frames"); }

// What has an effect on the text of a frame, but the model.
std::string description_key(const DescribeOptions& options, const std::string& model) {
  const bool interleaved = options.strategy == DescribeStrategy::interleaved;
  std::string key = fmt::format("1 model={} strategy={}", model, interleaved ? "interleaved" : "parallel");
  if (interleaved) key += fmt::format("/{}", options.batch_size);
  if (options.temperature > 0) key += fmt::format(" temperature={}", options.temperature);
  if (!options.prompt.empty()) key += " prompt=" + Fingerprint().add(options.prompt).text();
  return key;
}

// The model of a description_key(); empty where it was not known.
std::string_view model_of(std::string_view key) {
  constexpr std::string_view kBefore = "1 model=";
  constexpr std::string_view kBehind = " strategy=";
  if (!key.starts_with(kBefore)) return {};
  return key.substr(kBefore.size(), key.rfind(kBehind) - kBefore.size());
}

bool needs_description(const Observation& observation, int max_attempts) {
  switch (observation.status) {
    case ObservationStatus::pending: return true;
    case ObservationStatus::failed:
    case ObservationStatus::unparsed: return observation.attempts < max_attempts;
    case ObservationStatus::described:
    case ObservationStatus::unchanged: return false;
  }
  return false;
}

// One recording on its way through the steps.
class Run {
 public:
  Run(FrameSource& source, Store& store, const ProcessOptions& options, const ProcessObserver& observer)
      : source_(source), store_(store), options_(options), observer_(observer), id_(source.info().id) {}

  Result<ProcessOutcome> go(const MakeDescriber& make_describer, const MakeWriter& make_writer) {
    ESCRIBANO_CHECK(store_.add_recording(source_.info(), options_.now()));
    if (options_.force) ESCRIBANO_CHECK(store_.reset_recording(id_, options_.now()));
    ESCRIBANO_TRY(run_, store_.begin_run(id_, options_.program, options_.now()));
    ESCRIBANO_CHECK(sample());
    ESCRIBANO_CHECK(describe(make_describer));
    ESCRIBANO_CHECK(segment_observations());
    ESCRIBANO_CHECK(summarise_segments(make_writer));
    ESCRIBANO_TRY(outcome_.recording, store_.recording(id_));
    return std::move(outcome_);
  }

 private:
  void note(const std::string& sentence) const {
    if (observer_.on_note) observer_.on_note(sentence);
  }
  void progress(Step step, double done, double total) const {
    if (observer_.on_progress) observer_.on_progress({step, done, total});
  }

  Status sample() {
    ESCRIBANO_TRY(const StoredRecording stored, store_.recording(id_));
    const bool has_sample = stored.state != RecordingState::known;
    const std::string key = options_.sampling.key();
    if (has_sample && (options_.keep_sampling || stored.keys.sampling == key)) return {};
    StepRecord record(store_, run_, Step::sample);
    const Status status = [&]() -> Status {
      ESCRIBANO_TRY(const Sampling sampling,
                    source_.sample(
                        options_.sampling,
                        [&](const SamplingProgress& at) { progress(Step::sample, at.position_s, at.duration_s); },
                        options_.stop));
      record.stats.items = sampling.frames.size();
      for (const std::string& warning : sampling.warnings) note(warning);
      return store_.save_sampling(id_, sampling, key, options_.now());
    }();
    return record.finish(status);
  }

  Status describe(const MakeDescriber& make_describer) {
    ESCRIBANO_TRY(std::vector<Observation> observations, store_.observations(id_));
    std::vector<Observation> wanted;
    std::copy_if(observations.begin(), observations.end(), std::back_inserter(wanted),
                 [&](const Observation& observation) { return needs_description(observation, options_.max_attempts); });
    if (!wanted.empty()) {
      StepRecord record(store_, run_, Step::describe);
      const Status described = describe(make_describer, std::move(wanted), record.stats);
      outcome_.tried = record.stats.items;
      const Status finished = record.finish(described);
      outcome_.describe_s = record.stats.seconds;
      ESCRIBANO_CHECK(finished);
      ESCRIBANO_TRY(observations, store_.observations(id_));
    }
    ESCRIBANO_TRY(const StoredRecording stored, store_.recording(id_));
    if (stored.state == RecordingState::sampled) ESCRIBANO_CHECK(store_.finish_description(id_, options_.now()));
    for (const Observation& observation : observations) {
      if (observation.status == ObservationStatus::failed || observation.status == ObservationStatus::unparsed) {
        outcome_.failures.push_back(observation);
      }
    }
    return {};
  }

  Status describe(const MakeDescriber& make_describer, std::vector<Observation> wanted, StepStats& stats) {
    const std::size_t count = wanted.size();
    ESCRIBANO_TRY(const NamedService describer, make_describer(count));
    ESCRIBANO_CHECK(check_model(describer.model, count));
    progress(Step::describe, 0, static_cast<double>(count));
    DescribeWork work = {
        .recording_id = id_, .frames = std::move(wanted), .model = describer.model, .options = options_.describe};
    work.options.stop = options_.stop;
    DescribeTotals totals;
    Status status = describe_frames(
        source_, store_, *describer.service, work,
        [&](std::size_t done) { progress(Step::describe, static_cast<double>(done), static_cast<double>(count)); },
        totals);
    stats.items = totals.tried;
    stats.generation_tokens = totals.generation_tokens;
    stats.model_ms = totals.model_ms;
    return status;
  }

  // One recording is described by one model, so that its frames can be compared.
  Status check_model(const std::string& model, std::size_t wanted) {
    const std::string key = description_key(options_.describe, model);
    ESCRIBANO_TRY(const StoredRecording stored, store_.recording(id_));
    const bool begun = stored.described + stored.failed > 0;
    if (!begun) {
      return stored.keys.description == key ? Status() : store_.restart_description(id_, key, options_.now());
    }
    const std::string_view before = model_of(stored.keys.description);
    if (before.empty() || model.empty() || before == model) return {};
    return fail(Errc::invalid_argument,
                "{}: {} were described by {}, and {} still to describe; go on with --model {}, or start over with "
                "--force",
                printable(source_.info().path), frames_text(stored.described), before,
                wanted == 1 ? "1 frame is" : fmt::format("{} frames are", wanted), before);
  }

  Status segment_observations() {
    ESCRIBANO_TRY(const std::vector<Observation> observations, store_.observations(id_));
    ESCRIBANO_TRY(const StoredRecording stored, store_.recording(id_));
    const std::string material = " of=" + fingerprint(observations);
    const std::string key = options_.segments.key() + material;
    const bool has_segments = stored.state == RecordingState::segmented || stored.state == RecordingState::summarised;
    const bool keeps = options_.keep_segments && stored.keys.segments.ends_with(material);
    if (has_segments && (keeps || stored.keys.segments == key)) return {};
    StepRecord record(store_, run_, Step::segment);
    const std::vector<Segment> segments = segment(observations, source_.info().duration_s, options_.segments);
    record.stats.items = segments.size();
    return record.finish(store_.save_segments(id_, segments, key, options_.now()));
  }

  Status summarise_segments(const MakeWriter& make_writer) {
    StepRecord record(store_, run_, Step::summarise);
    progress(Step::summarise, 0, static_cast<double>(options_.formats.size()));
    const Status status = [&]() -> Status {
      for (const ArtefactFormat format : options_.formats) {
        ESCRIBANO_TRY(const StoredRecording stored, store_.recording(id_));
        const ArtefactOptions artefact_options = {
            .format = format, .excluded_apps = options_.excluded_apps, .stop = options_.stop, .now = options_.now};
        ESCRIBANO_TRY(Artefact artefact,
                      write_artefact(store_, stored, make_writer, artefact_options, observer_.on_note));
        progress(Step::summarise, static_cast<double>(outcome_.artefacts.size() + 1),
                 static_cast<double>(options_.formats.size()));
        outcome_.artefacts.push_back(std::move(artefact));
        ++record.stats.items;
      }
      return {};
    }();
    return record.finish(status);
  }

  FrameSource& source_;
  Store& store_;
  const ProcessOptions& options_;
  const ProcessObserver& observer_;
  const std::string id_;
  std::int64_t run_ = 0;
  ProcessOutcome outcome_;
};

}  // namespace

std::string_view step_name(Step step) noexcept {
  switch (step) {
    case Step::sample: return "sample";
    case Step::describe: return "describe";
    case Step::segment: return "segment";
    case Step::summarise: return "summarise";
  }
  return "?";
}

Result<ProcessOutcome> process_recording(FrameSource& source, Store& store, const MakeDescriber& make_describer,
                                         const MakeWriter& make_writer, const ProcessOptions& options,
                                         const ProcessObserver& observer) {
  return Run(source, store, options, observer).go(make_describer, make_writer);
}

}  // namespace escribano
