#pragma once

// How frames become chat requests, and answers become results. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "intelligence/chat.h"

namespace escribano {

// Frames that one request asks about: images[begin, begin + count).
struct FrameGroup {
  std::size_t begin = 0;
  std::size_t count = 0;
};

// One frame each (parallel), or batches of batch_size (interleaved), in order.
std::vector<FrameGroup> group_frames(std::size_t frames, const DescribeOptions& options);

// A picture file as a server takes it: JPEG, PNG or WebP by its first bytes, as it is. Fails with what read_file() fails
// with, or unsupported.
Result<ChatImage> load_chat_image(const std::filesystem::path& path, std::uint64_t max_bytes);

// One group on its way. Frames whose file cannot be read fail alone; the others are numbered from 1 in what is asked.
class FrameChat {
 public:
  // Reads the files. Fails with invalid_argument where the prompt has a placeholder other than {n}.
  static Result<FrameChat> prepare(std::span<const Frame> images, FrameGroup group, const DescribeOptions& options,
                                   std::uint64_t max_image_bytes);

  // What to ask; nothing where no frame of the group can be. Once.
  std::optional<ChatRequest> take_request() { return std::exchange(request_, std::nullopt); }

  // The results of the group, in order.
  std::vector<FrameResult> results(const Result<ChatAnswer>& answer) const;

 private:
  struct Member {
    FrameResult result;  // with what is known before the answer: where it is from, or why it failed
    bool asked = false;
  };
  bool interleaved_ = false;
  std::vector<Member> members_;
  std::size_t asked_ = 0;
  std::optional<ChatRequest> request_;
};

}  // namespace escribano
