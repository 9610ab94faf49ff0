#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/queue.h"
#include "recording/frame_series.h"
#include "recording/kept_pictures.h"

namespace escribano::recording {

// A FrameSeries on a thread of its own: frames are compared, and their thumbnails and kept pictures made, while the caller
// decodes the next. Two frames wait at most. For one caller.
class SeriesThread {
 public:
  // Both must outlive it; `kept` is left alone by everybody else meanwhile.
  SeriesThread(const SamplingOptions& options, KeptPictures& kept);
  ~SeriesThread();
  SeriesThread(const SeriesThread&) = delete;
  SeriesThread& operator=(const SeriesThread&) = delete;

  // Like FrameSeries::add(), but fails with what became of frames added before. Waits for room.
  Status add(std::int64_t at_ms, SampleReason reason, Image image);
  // How many frames were added.
  std::size_t added() const noexcept { return added_; }
  // The frames, once all are dealt with; nothing can be added after. Fails like FrameSeries::add(). Throws what was thrown
  // meanwhile, which is std::bad_alloc.
  Result<std::vector<SampledFrame>> finish();

 private:
  struct Item {
    std::int64_t at_ms = 0;
    SampleReason reason = SampleReason::interval;
    Image image;
  };

  void run();
  Status take(const Item& item);
  Status outcome();

  FrameSeries series_;
  KeptPictures& kept_;
  std::size_t added_ = 0;
  BoundedQueue<Item> queue_;
  Status failure_;                // of the thread, which then closes the queue; to be read once it is joined
  std::exception_ptr exception_;  // likewise
  std::thread thread_;
};

}  // namespace escribano::recording
