// What sampling a recording costs: wall time against the recording's, and resident memory at each quarter of the way.
//
//   build/release/bin/sampling_bench RECORDING [--interval SECONDS] [--list]
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include "recording/recording_file.h"

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double peak_memory_mb() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e6;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
#endif
}

int run(const std::string& path, const escribano::SamplingOptions& options, bool list) {
  const auto begin = Clock::now();
  auto recording = escribano::open_recording(path);
  if (!recording) {
    fmt::print(stderr, "{}\n", recording.error().message);
    return 1;
  }
  const escribano::RecordingInfo& info = (*recording)->info();
  const double open_s = since(begin);
  fmt::print("{}: {:.1f} s, {}x{}, {}, {:.1f} MB, id {}\n", path, info.duration_s, info.width_px, info.height_px,
             info.codec, static_cast<double>(info.bytes) / 1e6, info.id);
  fmt::print("after opening: {:.2f} s, peak memory {:.1f} MB\n", open_s, peak_memory_mb());

  int quarter = 1;
  const auto sampling = (*recording)
                            ->sample(options,
                                     [&](const escribano::SamplingProgress& progress) {
                                       if (progress.position_s < progress.duration_s * quarter / 4) return;
                                       fmt::print("at {:3} %: {:.2f} s, {} frames, peak memory {:.1f} MB\n",
                                                  25 * quarter, since(begin), progress.picked, peak_memory_mb());
                                       ++quarter;
                                     },
                                     {});
  if (!sampling) {
    fmt::print(stderr, "{}\n", sampling.error().message);
    return 1;
  }
  const double wall_s = since(begin);
  std::size_t described = 0;
  for (const escribano::SampledFrame& frame : sampling->frames) described += frame.source ? 0 : 1;
  fmt::print("{} frames, {} to be described; {:.2f} s in all, {:.0f} times real time (sampling alone {:.0f})\n",
             sampling->frames.size(), described, wall_s, info.duration_s / wall_s, info.duration_s / (wall_s - open_s));
  for (const std::string& warning : sampling->warnings) fmt::print("warning: {}\n", warning);
  if (list) {
    for (const escribano::SampledFrame& frame : sampling->frames) {
      fmt::print("{:9.3f} {:8} share {:.3f} change {:6.2f} {} {}\n", frame.timestamp_s,
                 escribano::sample_reason_name(frame.reason), frame.scene_score, frame.change, frame.content_hash,
                 frame.source ? fmt::format("= {}", *frame.source) : "");
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string path;
  bool list = false;
  escribano::SamplingOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--list") {
      list = true;
    } else if (argument == "--interval" && i + 1 < argc) {
      options.interval_s = std::strtod(argv[++i], nullptr);
    } else {
      path = argument;
    }
  }
  if (path.empty()) {
    fmt::print(stderr, "usage: sampling_bench RECORDING [--interval SECONDS] [--list]\n");
    return 2;
  }
  return run(path, options, list);
}
