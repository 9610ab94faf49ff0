#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "domain/frame_result.h"

namespace escribano {

enum class DescribeStrategy {
  parallel,     // a prompt for each frame
  interleaved,  // the frames of a batch in one prompt, labelled (ADR-006)
};

struct DescribeOptions {
  DescribeStrategy strategy = DescribeStrategy::parallel;
  int batch_size = 4;     // frames at once (parallel) or in one prompt (interleaved); 1 to 255
  int max_tokens = 2000;  // output budget of a batch; a frame has its part of it
  std::string prompt;     // what to ask; {n} stands for the number of frames (interleaved). Empty: the built-in one
  float temperature = 0;  // 0: always the likeliest word
  std::chrono::milliseconds deadline{0};  // for the whole call; 0: none. Past it the call fails with deadline_exceeded
  std::stop_token stop;                   // a request to stop ends the call with cancelled

  // Every problem, one sentence each; empty when the call can be made.
  std::vector<std::string> validate() const;
};

struct Progress {
  std::size_t current = 0;  // frames finished so far in this call, failed ones included
  std::size_t total = 0;
};

// Called for each frame, in the order of the call, as soon as it and those before it are finished; on the thread that
// called describe_images(), which does nothing else meanwhile. Must not throw.
using OnImageProcessed = std::function<void(const FrameResult&, const Progress&)>;

struct DescribeOutcome {
  std::vector<FrameResult> results;  // those delivered, from the first on; all of them where `status` is a success
  Status status;                     // a failure ended the call; frames that failed alone do not show here
};

struct GenerateOptions {
  int max_tokens = 8000;  // output budget
  float temperature = 0;
  bool think = false;  // let a thinking model think first; thoughts are never part of the text
  std::chrono::milliseconds deadline{0};
  std::stop_token stop;

  std::vector<std::string> validate() const;
};

struct GeneratedText {
  std::string text;  // valid UTF-8, without thoughts
  int prompt_tokens = 0;
  int generation_tokens = 0;
  bool truncated = false;  // the budget ended before the answer did: `text` is its beginning
};

// The port behind which models are. One object serves any number of calls, from any threads at once. Each call blocks
// its thread until it is answered, fails, is stopped or runs out of time; none waits for ever on a peer that is gone.
class IntelligenceService {
 public:
  virtual ~IntelligenceService() = default;

  // Describes `images` in order. A frame that fails takes none of the others along: its result says why. Fails with
  // invalid_argument (options, no images), cancelled, deadline_exceeded, overloaded, bridge_unavailable, bridge_died,
  // protocol_error, backend_error or model errors. `on_image_processed` may be empty.
  virtual DescribeOutcome describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                          const OnImageProcessed& on_image_processed) = 0;

  // The answer to one prompt. Fails as describe_images, and with context_full where the prompt does not fit.
  virtual Result<GeneratedText> generate_text(std::string_view prompt, const GenerateOptions& options) = 0;
};

}  // namespace escribano
