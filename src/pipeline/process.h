#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/frame_source.h"
#include "domain/intelligence_service.h"
#include "domain/recording.h"
#include "domain/store.h"
#include "pipeline/artefacts.h"
#include "pipeline/segments.h"

namespace escribano {

// From a recording to what is stored about it. Four steps, each of which is done only where its result is missing or was made
// from something else, and can be repeated: sample, describe, segment, summarise.
enum class Step : std::uint8_t { sample, describe, segment, summarise };
std::string_view step_name(Step step) noexcept;  // "sample", ... Static storage.

// What describes frames; asked for when `frames` of them are to be described, and let go of when they are.
using MakeDescriber = std::function<Result<NamedService>(std::size_t frames)>;
struct ProcessOptions {
  SamplingOptions sampling;
  bool keep_sampling = false;  // a recording that has a sample keeps it, whatever `sampling` says
  DescribeOptions describe;    // without a deadline and a stop token
  int max_attempts = 3;        // runs that try to describe a frame
  SegmentOptions segments;
  bool keep_segments = false;  // segments made of the same observations stay, whatever `segments` says
  std::vector<ArtefactFormat> formats = {ArtefactFormat::card};
  std::vector<std::string> excluded_apps;  // of the artefacts
  bool force = false;                      // forget what is stored and start over
  std::string program;                     // who runs: "escribano 0.1.0"
  std::stop_token stop;
  std::function<std::string()> now;  // time of day, UTC: "2026-01-31T12:00:00Z"
};

struct ProcessProgress {
  Step step = Step::sample;
  double done = 0;  // of `total`: seconds of the recording while sampling, else frames or texts
  double total = 0;
};

// Told what happens, on the thread that called. Any of them may be empty.
struct ProcessObserver {
  std::function<void(const ProcessProgress&)> on_progress;
  std::function<void(const std::string&)> on_note;  // a sentence that the user should read
};

struct ProcessOutcome {
  StoredRecording recording;
  std::vector<Observation> failures;  // frames without a description, in order of time
  std::vector<Artefact> artefacts;    // of the formats asked for
  std::size_t tried = 0;              // frames that this run tried to describe
  double describe_s = 0;              // what that took
};

// Runs the steps that are needed. What is done stays done: on an error, a stop or the end of the process at any moment at most the
// batch in flight is lost, and the next run goes on from there to the same result.
//
// Frames that failed or did not parse are tried again by the next runs, up to max_attempts, and are listed in the outcome. A
// language model that fails costs only its text: the artefact is put together without one, a note says so, and the next run
// tries again (write_artefact()). Fails with what the source, the store or the describer fail with; with cancelled; and with invalid_argument
// where the recording is half described by another model. Blocks; uses one thread of its own for decoding.
Result<ProcessOutcome> process_recording(FrameSource& source, Store& store, const MakeDescriber& make_describer,
                                         const MakeWriter& make_writer, const ProcessOptions& options,
                                         const ProcessObserver& observer);

}  // namespace escribano
