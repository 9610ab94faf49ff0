#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"

namespace escribano {

// A frame that can be sent to a bridge: under an absolute path, as the bridge may run in another folder.
struct SentFrame {
  std::size_t index = 0;  // in the call
  Frame frame;
};

// Hands the results of one call over in order, whatever is answered and whatever fails before it is sent.
class FrameDelivery {
 public:
  // All three outlive this object. Frames that cannot cross the wire (a path that is not UTF-8, is too long or has a NUL
  // in it; a time that is no number) are kept back as failed.
  FrameDelivery(std::span<const Frame> images, const OnImageProcessed& on_image_processed,
                std::vector<FrameResult>& results);

  const std::vector<SentFrame>& to_send() const noexcept { return to_send_; }
  // The result of a frame to send; in their order. Index, time and path are set to those of the call.
  void put(const SentFrame& frame, FrameResult result);
  void put_failure(const SentFrame& frame, Error error);
  // After the last one.
  void finish() { hand_over_failures(images_.size()); }
  // Whether the result of a frame that was sent has been handed over.
  bool begun() const noexcept { return begun_; }

 private:
  void hand_over(std::size_t index, FrameResult result);
  void hand_over_failures(std::size_t end);

  std::span<const Frame> images_;
  const OnImageProcessed* on_image_processed_;
  std::vector<FrameResult>* results_;
  std::vector<SentFrame> to_send_;
  std::map<std::size_t, Error> failures_;  // by index, not handed over yet
  bool begun_ = false;
};

// A part of the frames to send: [begin, begin + count).
struct FrameRange {
  std::size_t begin = 0;
  std::size_t count = 0;

  friend bool operator==(const FrameRange&, const FrameRange&) = default;
};

// Parts that each fit a line of a request, however the paths look, and hold whole batches where they can.
std::vector<FrameRange> split_into_requests(std::span<const SentFrame> frames, std::size_t batch_size);

}  // namespace escribano
