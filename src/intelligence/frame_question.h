#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "intelligence/frame_delivery.h"
#include "protocol/answer.h"
#include "protocol/request.h"

namespace escribano {

// What a bridge that only knows conversations (generation 2) is asked about some frames: one (parallel), or a batch, each
// behind its label (interleaved). Pure but for looking whether the files can be read.
class FrameQuestion {
 public:
  // Fails with invalid_argument where the prompt has a placeholder other than {n}.
  static Result<FrameQuestion> make(std::span<const SentFrame> frames, const DescribeOptions& options);

  // nullopt where no file can be read. Once.
  std::optional<protocol::Infer> take_request() { return std::exchange(request_, std::nullopt); }

  // What came of each frame, in order. Files that cannot be read have failed, whatever the answer is; an error is that of
  // all others.
  std::vector<FrameResult> results(const Result<protocol::TextAnswer>& answer) const;

 private:
  std::vector<std::optional<Error>> unreadable_;  // of each frame
  std::size_t asked_ = 0;
  bool interleaved_ = false;
  std::optional<protocol::Infer> request_;
};

}  // namespace escribano
