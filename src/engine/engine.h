#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/backend.h"
#include "format/description.h"
#include "image/image.h"
#include "image/resize.h"

namespace escribano::engine {

// How the frames of a request reach the model.
enum class Strategy {
  parallel,     // a sequence of its own for each frame; they share compute and never context
  interleaved,  // several labelled frames in one prompt, answered line by line (ADR-006)
};

// One frame: a file, or pixels that the caller already has.
struct FrameInput {
  std::filesystem::path path;          // read by the engine when `image` is empty
  std::shared_ptr<const Image> image;  // any size
  double timestamp_s = 0;              // in the recording; part of an interleaved prompt
};

struct Sampling {
  float temperature = 0;   // 0 is greedy, and the only setting under which equal pixels must give equal text
  std::uint32_t seed = 0;  // mixed with the frame's pixels, so that a frame's text does not depend on its neighbours
};

struct DescribeRequest {
  std::vector<FrameInput> frames;
  Strategy strategy = Strategy::parallel;
  int batch_size = 4;    // interleaved: frames a prompt, at most EngineOptions::max_frames_per_prompt
  int max_tokens = 500;  // output budget of one prompt: of a frame (parallel) or of a batch (interleaved)
  std::string prompt;    // what to do; {n} stands for the number of frames (interleaved). Empty: the built-in one
  Sampling sampling;
  bool constrained = true;  // let the model write only what the format allows, so that a finished answer parses
  bool reuse = true;        // false: each frame goes through the whole model, also one that was seen before

  // Every problem found, one sentence each; empty when the request can be started.
  std::vector<std::string> validate() const;
};

enum class FinishReason { stop, length, loop, cancelled };
std::string_view finish_reason_name(FinishReason reason) noexcept;

// What a frame owes to an earlier one.
enum class Reuse {
  none,       // it went through the whole model
  cache,      // its vision embedding was kept from before
  patches,    // of its picture only what changed since the one before went through the vision tower
  duplicate,  // its whole answer is that of a frame with the same pixels, asked the same way (parallel)
};
std::string_view reuse_name(Reuse reuse) noexcept;

// What one frame took; a duplicate took no tokens and no time of the model. In an interleaved prompt, tokens and times of
// the prompt are shared out evenly over its frames.
struct FrameStats {
  int prompt_tokens = 0;  // image tokens included
  int generation_tokens = 0;
  int drafted_tokens = 0;   // checked in the same steps as the tokens before them; none in interleaved prompts
  int accepted_tokens = 0;  // those of them that the model would have chosen
  int image_tokens = 0;
  int image_width_px = 0;  // as the model saw it
  int image_height_px = 0;
  double load_ms = 0;    // read, decode, resize
  double encode_ms = 0;  // vision tower
  double prefill_ms = 0;
  double decode_ms = 0;  // this frame's share of the steps it took part in
  FinishReason finish_reason = FinishReason::stop;
  int attempts = 1;  // 2 when a truncated, looping or unparsed answer was given more room
  Reuse reused = Reuse::none;
};

enum class FrameStatus {
  described,  // `description` holds the answer
  unparsed,   // the model answered, `raw` holds it, but it has not the form asked for
  failed,     // `error` says why there is no answer
};

struct FrameResult {
  std::size_t index = 0;  // in the request
  FrameStatus status = FrameStatus::failed;
  Description description;
  std::string raw;  // the model's text, valid UTF-8
  std::optional<Error> error;
  FrameStats stats;
};

// Where the results of one request go. Called on the engine thread, which does nothing else meanwhile: hand over, do not
// work. After on_done nothing more is called.
struct DescribeObserver {
  std::function<void(const FrameResult&)> on_frame;  // once for each frame, in the order of the request
  std::function<void(const Status&)> on_done;        // exactly once, after the last frame; an error ended the request
};

// One message of a conversation: text and images in any order. Control marks of the chat format in a text are text.
struct ChatMessage {
  std::string role;  // system, user, assistant
  std::vector<std::variant<std::string, FrameInput>> parts;
};

// A free answer of the model to a conversation.
struct GenerateRequest {
  std::vector<ChatMessage> messages;  // the last one is answered
  std::string formatted_prompt;       // in place of messages: a prompt already in the model's own chat format
  int max_tokens = 2000;              // output budget
  Sampling sampling;
  bool think = false;  // let a model that can think first do so

  std::vector<std::string> validate() const;
};

struct GenerateStats {
  int prompt_tokens = 0;
  int generation_tokens = 0;
  double load_ms = 0;
  double encode_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
  FinishReason finish_reason = FinishReason::stop;
};

struct GenerateResult {
  std::string text;  // valid UTF-8, as the model wrote it, thoughts included
  GenerateStats stats;
};

using JobId = std::uint64_t;

// Where vision embeddings are kept beyond the life of the engine, in files that only their owner can read. A picture can be
// guessed at from its embedding.
struct EmbeddingFolder {
  std::filesystem::path path;  // made where it is missing; empty: none are kept
  // Names all that the numbers depend on beside the pixels: the projector's content, the programs, the processor. Another
  // identity never sees them.
  std::string identity;
  std::uint64_t limit_bytes = 0;  // of all files there; those used least recently go first. 0: none are kept
};

struct EngineOptions {
  PixelRule pixel_rule;            // sizes that the model takes (its preprocessor_config)
  int max_frames_per_prompt = 16;  // interleaved: more are split over several prompts
  int image_workers = 1;           // threads that read, decode and resize images
  ImageLimits image_limits;
  std::size_t embedding_cache_bytes = 128U << 20;  // vision embeddings kept for frames that come again; 0 keeps none
  EmbeddingFolder embedding_folder;                // the same on the disk, across restarts
  std::size_t answer_cache_bytes = 4U << 20;       // answers kept for the same purpose; 0 keeps none
  // Tokens a frame that may be drafted in a step from the texts of other frames, at most kMaxSlotRows - 1. They cost time
  // where they are wrong and save it where they are right, and never change a text. 0 drafts none.
  int draft_tokens = kMaxSlotRows - 1;
  bool text_only = false;  // take a model without vision, too; it then only generates

  // The shape of the context. Where max_total_tokens is 0, it stays as the backend was loaded, and the rest is ignored.
  // Else a prompt that needs more than context_tokens gets it, as soon as nothing else runs, at the price of fewer
  // sequences at once; then the context goes back.
  int slots = 0;               // sequences at once; 0 is what the backend was loaded with
  int context_tokens = 0;      // of one of them, prompt and answer; 0 is what the backend was loaded with
  int max_context_tokens = 0;  // of one: what the model was trained on, and what memory allows
  int max_total_tokens = 0;    // slots times context tokens. A single slot takes the memory of two (plan/planner.h)
  bool keep_larger_context = false;  // it goes back only where that gives back slots, too: for frames of any size
};

// Totals since the start, for status lines and benchmarks.
struct EngineCounters {
  int queued_frames = 0;  // not yet in a slot; images of conversations included
  int running_sequences = 0;
  std::uint64_t frames_described = 0;
  std::uint64_t frames_unparsed = 0;
  std::uint64_t frames_failed = 0;
  std::uint64_t images_encoded = 0;
  std::uint64_t image_tokens_encoded = 0;  // those that were taken over from the picture before not counted
  std::uint64_t images_reused = 0;         // not encoded: their embedding or their answer was there
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generation_tokens = 0;
  std::uint64_t drafted_tokens = 0;
  std::uint64_t accepted_tokens = 0;
  std::uint64_t decode_steps = 0;
  std::uint64_t generations = 0;  // conversations answered
  std::uint64_t cache_bytes = 0;  // vision embeddings kept
  std::uint64_t cache_limit_bytes = 0;
  double load_s = 0;
  double encode_s = 0;
  double prefill_s = 0;
  double decode_s = 0;
};

// Describes frames and answers conversations with one model. One thread of its own drives the backend; the public functions may be called from
// any thread and never block on the model.
class Engine {
 public:
  // Takes the backend over. Fails with no_vision if the backend cannot look at images (unless `text_only`), and with
  // invalid_argument if the limits of the context contradict each other.
  static Result<std::unique_ptr<Engine>> start(std::unique_ptr<Backend> backend, const EngineOptions& options);
  // Cancels what runs (observers get on_done with Errc::cancelled) and joins the engine thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Queues a request. Fails with invalid_argument if it does not validate, with no_vision if the model has no vision
  // tower; otherwise the observer will be told all.
  // Frames of several requests share the slots fairly: whoever has the fewest running goes next.
  Result<JobId> submit(DescribeRequest request, DescribeObserver observer);

  // Queues a conversation; refused as above. `on_done` is called exactly once, on the engine thread. An image that cannot
  // be loaded fails the request with that image's error; a prompt that cannot fit with context_full; a chat template that
  // is not understood, or images where it is not ChatML, with unsupported. An answer that the budget cuts off is a result
  // (finish_reason `length`), as is one that ends in a loop after one attempt to break it (`loop`). Shares the slots with
  // frames.
  Result<JobId> submit(GenerateRequest request, std::function<void(const Result<GenerateResult>&)> on_done);

  // Tokens of the prompt of `request`, images not counted. Any thread; costs a tokenisation. Fails as submit would, and
  // with unsupported as above.
  Result<int> prompt_tokens(const GenerateRequest& request) const;

  // The request ends within one step: frames not finished are not reported, on_done gets `reason`. Unknown or finished
  // jobs are ignored.
  void cancel(JobId job, Error reason = {Errc::cancelled, "cancelled"});

  EngineCounters counters() const;
  int slots() const noexcept;               // by default
  int context_tokens() const noexcept;      // of a slot by default
  int max_context_tokens() const noexcept;  // of a slot that needs the most

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace escribano::engine
