#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/core/answer_cache.h"
#include "engine/core/prompt.h"
#include "engine/core/sampler.h"
#include "engine/engine.h"
#include "engine/plan/draft.h"
#include "format/line_grammar.h"
#include "image/hash.h"

namespace escribano::engine {

class Job;

// One image of a unit, as the image stage leaves it.
struct LoadedImage {
  std::size_t frame = 0;  // index in the request, see Job::frame()
  Size size;              // as the model sees it
  ImageHash hash;
  std::unique_ptr<PreparedImage> prepared;          // where there is no embedding yet
  std::shared_ptr<const ImageEmbedding> embedding;  // the one that was kept; else made on the engine thread
  double load_ms = 0;
  std::optional<Error> error;  // set if there is no picture

  // Filled on the engine thread.
  int tokens = 0;  // that the model makes of it
  double encode_ms = 0;
  Reuse reused = Reuse::none;
};

// The decoding of one prompt.
struct Sequence {
  int slot = -1;
  std::size_t next_piece = 0;  // of the prompt; all before it are in the context
  Position position = 0;       // where the next token goes
  Position prompt_end = 0;     // position of the first output token
  int prompt_tokens = 0;
  int room_tokens = 0;  // output tokens that the context must hold beside the prompt
  int max_tokens = 0;   // output budget of this attempt
  int attempts = 1;
  std::optional<LineGrammar> grammar;
  std::optional<Sampler> sampler;
  std::optional<Token> banned;   // for the next token only
  std::vector<Token> output;     // the last one is not in the context yet
  int sampled_tokens = 0;        // of all attempts, the end of the turn included
  std::uint64_t text_id = 0;     // of the output, among all of the engine's
  std::uint64_t draft_kind = 0;  // outputs of equal kind are drafts for each other; 0: no drafts
  std::unordered_map<std::uint64_t, TextCursor> draft_cursors;  // in the texts of others
  int drafted_tokens = 0;
  int accepted_tokens = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

// One prompt on its way through the engine: a frame (parallel), several (interleaved), or a conversation with any number
// of images, also none. The image stage owns it until it
// is handed over as loaded; from then on it belongs to the engine thread.
struct Unit {
  std::shared_ptr<Job> job;
  std::vector<LoadedImage> images;  // one worker writes one element
  std::atomic<int> images_loading = 0;
  std::optional<Error> prompt_error;
  std::vector<std::size_t> members;  // of `images`: those that loaded, in order; the prompt's image i is members[i]
  Prompt prompt;
  std::optional<AnswerKey> answer_key;  // set where an equal prompt would get the same answer, and that is made use of
  Sequence sequence;

  LoadedImage& member(std::size_t image) { return images[members[image]]; }
  // What the context must hold for it.
  int needed_tokens() const noexcept { return sequence.prompt_tokens + sequence.room_tokens; }
};

// A unit of `job` over `count` images from `first` on, nothing of it loaded.
std::shared_ptr<Unit> make_unit(const std::shared_ptr<Job>& job, std::size_t first, std::size_t count);

// A number for the text of a prompt, images left out.
std::uint64_t text_hash(const Prompt& prompt);

// What makes the random choices of a unit its own: its first image, else the text of its prompt.
std::uint64_t sampling_salt(const Unit& unit);

}  // namespace escribano::engine
