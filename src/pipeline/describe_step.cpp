#include "pipeline/describe_step.h"

#include <algorithm>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "base/queue.h"

namespace escribano {
namespace {

// One decoded frame, or why there is none.
struct Picture {
  Observation frame;
  Result<AnonymousFile> file;
};

// Batches decoded ahead of the one that is being described, beside the one in the making: enough to never wait, and not so many
// that the largest batches run out of file descriptors.
constexpr std::size_t kBatchesAhead = 1;

// Decodes on a thread of its own. The source is used by no one else as long as this object lives.
class PictureProducer {
 public:
  PictureProducer(FrameSource& source, std::span<const Observation> frames, std::size_t batch_size)
      : queue_(kBatchesAhead), thread_([this, &source, frames, batch_size] { run(source, frames, batch_size); }) {}
  ~PictureProducer() { queue_.close(); }
  PictureProducer(const PictureProducer&) = delete;
  PictureProducer& operator=(const PictureProducer&) = delete;

  // nullopt after the last batch.
  std::optional<std::vector<Picture>> next() { return queue_.pop(); }

 private:
  void run(FrameSource& source, std::span<const Observation> frames, std::size_t batch_size) {
    for (std::size_t at = 0; at < frames.size(); at += batch_size) {
      std::vector<Picture> batch;
      for (const Observation& frame : frames.subspan(at, std::min(batch_size, frames.size() - at))) {
        batch.push_back({frame, source.picture(frame.timestamp_s)});
      }
      if (!queue_.push(std::move(batch))) return;
    }
    queue_.close();
  }

  BoundedQueue<std::vector<Picture>> queue_;
  std::jthread thread_;  // last: joined first
};

void set_error(Observation& observation, const Error& error) {
  observation.status = ObservationStatus::failed;
  observation.error_code = errc_name(error.code);
  observation.error = error.message;
}

// What is stored of one more try at `frame`, before its outcome is known.
Observation next_try(const Observation& frame, const std::string& model) {
  Observation observation;
  observation.position = frame.position;
  observation.timestamp_s = frame.timestamp_s;
  observation.attempts = frame.attempts + 1;
  observation.model = model;
  return observation;
}

void set_result(Observation& observation, const FrameResult& result) {
  observation.generation_tokens = result.stats.generation_tokens;
  observation.model_ms = result.stats.encode_ms + result.stats.prefill_ms + result.stats.decode_ms;
  switch (result.status()) {
    case FrameStatus::failed: set_error(observation, *result.error); break;
    case FrameStatus::unparsed:
      observation.status = ObservationStatus::unparsed;
      observation.raw_response = *result.raw_response;
      break;
    case FrameStatus::described:
      observation.status = ObservationStatus::described;
      observation.description = result.description;
      observation.activity = result.activity;
      observation.apps = result.apps;
      observation.topics = result.topics;
      break;
  }
}

// A frame that was stopped was not tried.
bool is_cancelled(const FrameResult& result) { return result.error && result.error->code == Errc::cancelled; }

// One call for `pictures`. Returns how it ended; what came of each frame is appended to `done`.
Status describe_once(IntelligenceService& service, std::span<const Picture> pictures, const DescribeWork& work,
                     const std::function<void(std::size_t)>& on_finished, std::vector<Observation>& done) {
  std::vector<Frame> images;
  images.reserve(pictures.size());
  for (const Picture& picture : pictures) {
    images.push_back({.path = picture.file->path(), .timestamp_s = picture.frame.timestamp_s});
  }
  const DescribeOutcome outcome = service.describe_images(
      images, work.options, [&](const FrameResult&, const Progress& progress) { on_finished(progress.current); });
  for (const FrameResult& result : outcome.results) {
    if (result.index >= pictures.size() || is_cancelled(result)) continue;
    done.push_back(next_try(pictures[result.index].frame, work.model));
    set_result(done.back(), result);
  }
  return outcome.status;
}

// A frame that takes the model's process down must not hold up the others for ever: it fails alone. Where one after the other
// does so, it is not the frames.
constexpr int kMaxDeaths = 3;

// The frames of `pictures` that `done` does not have, one call each. `deaths` counts the last calls in a row that the model's process did
// not survive.
Status describe_alone(IntelligenceService& service, std::span<const Picture> pictures, const DescribeWork& work,
                      std::vector<Observation>& done, int& deaths) {
  for (const Picture& picture : pictures) {
    const auto same = [&](const Observation& other) { return other.position == picture.frame.position; };
    if (std::any_of(done.begin(), done.end(), same)) continue;
    Status status = describe_once(
        service, {&picture, 1}, work, [](std::size_t) {}, done);
    if (status) {
      deaths = 0;
      continue;
    }
    if (status.error().code != Errc::bridge_died || ++deaths > kMaxDeaths) return status;
    done.push_back(next_try(picture.frame, work.model));
    set_error(done.back(), status.error());
  }
  return {};
}

}  // namespace

Status describe_frames(FrameSource& source, Store& store, IntelligenceService& service, const DescribeWork& work,
                       const std::function<void(std::size_t)>& on_frame, DescribeTotals& totals) {
  const auto batch_size = static_cast<std::size_t>(std::max(1, work.options.batch_size));
  PictureProducer producer(source, work.frames, batch_size);
  int deaths = 0;
  while (std::optional<std::vector<Picture>> batch = producer.next()) {
    const auto unreadable = std::stable_partition(batch->begin(), batch->end(),
                                                  [](const Picture& picture) { return picture.file.has_value(); });
    std::vector<Observation> done;
    for (const Picture& picture : std::span(unreadable, batch->end())) {
      done.push_back(next_try(picture.frame, {}));
      set_error(done.back(), picture.file.error());
    }
    const auto report = [&](std::size_t finished) {
      if (on_frame) on_frame(totals.tried + finished);
    };
    const std::span<const Picture> pictures(batch->begin(), unreadable);
    Status status;
    if (!pictures.empty()) {
      status = describe_once(service, pictures, work, report, done);
      if (!status && status.error().code == Errc::bridge_died) {
        status = describe_alone(service, pictures, work, done, deaths);
      }
    }
    if (!done.empty()) ESCRIBANO_CHECK(store.save_observations(work.recording_id, done));
    totals.tried += done.size();
    for (const Observation& observation : done) {
      totals.generation_tokens += observation.generation_tokens;
      totals.model_ms += observation.model_ms;
    }
    ESCRIBANO_CHECK(status);
    report(0);
    if (work.options.stop.stop_requested()) return fail(Errc::cancelled, "stopped");
  }
  return {};
}

}  // namespace escribano
