#include "engine/core/generate_job.h"

#include <utility>
#include <variant>

#include "base/utf8.h"

namespace escribano::engine {
namespace {

// Of the images of `unit`, the first one that could not be loaded.
const Error* image_error(const Unit& unit) {
  for (const LoadedImage& image : unit.images) {
    if (image.error) return &*image.error;
  }
  return nullptr;
}

}  // namespace

std::vector<const FrameInput*> images_of(const GenerateRequest& request) {
  std::vector<const FrameInput*> images;
  for (const ChatMessage& message : request.messages) {
    for (const auto& part : message.parts) {
      if (const auto* image = std::get_if<FrameInput>(&part)) images.push_back(image);
    }
  }
  return images;
}

Result<Prompt> conversation_prompt(const Backend& backend, const GenerateRequest& request) {
  if (request.messages.empty()) return build_formatted(backend, request.formatted_prompt);
  std::vector<PromptMessage> messages;
  std::size_t images = 0;
  for (const ChatMessage& message : request.messages) {
    PromptMessage& out = messages.emplace_back(PromptMessage{.role = message.role, .parts = {}});
    for (const auto& part : message.parts) {
      if (const auto* text = std::get_if<std::string>(&part)) {
        out.parts.emplace_back(*text);
      } else {
        out.parts.emplace_back(ImagePart{images++});
      }
    }
  }
  return build_conversation(backend, messages, request.think);
}

GenerateJob::GenerateJob(JobId id, GenerateRequest request, OnDone on_done)
    : Job(id), request_(std::move(request)), on_done_(std::move(on_done)), images_(images_of(request_)) {}

std::shared_ptr<Unit> GenerateJob::next_unit(const std::shared_ptr<Job>& self) {
  given_out_ = true;
  return make_unit(self, 0, images_.size());
}

Result<Prompt> GenerateJob::prompt(const Backend& backend, const Unit& unit) const {
  if (const Error* error = image_error(unit)) return fail(*error);
  return conversation_prompt(backend, request_);
}

std::optional<LineGrammar> GenerateJob::grammar(std::size_t /*frames*/, bool /*constrained*/) const {
  return std::nullopt;
}

AttemptState::Outcome GenerateJob::outcome(const Unit& /*unit*/, std::string_view /*text*/, FinishReason reason) const {
  // A text cut off by the budget is what was asked for: the budget is the caller's.
  return reason == FinishReason::loop ? AttemptState::Outcome::looping : AttemptState::Outcome::parsed;
}

void GenerateJob::deliver_failure(const Unit& unit, const Error& error) {
  const Error* own = image_error(unit);
  result_.emplace(fail(own != nullptr ? *own : error));
}

void GenerateJob::deliver_answer(const Unit& unit, const std::string& text, FinishReason reason) {
  const Sequence& sequence = unit.sequence;
  GenerateResult result;
  // The budget may end inside a character.
  result.text = to_valid_utf8(std::string_view(text).substr(0, complete_utf8_prefix(text)));
  result.stats = {
      .prompt_tokens = sequence.prompt_tokens,
      .generation_tokens = sequence.sampled_tokens,
      .prefill_ms = sequence.prefill_ms,
      .decode_ms = sequence.decode_ms,
      .finish_reason = reason,
  };
  for (const LoadedImage& image : unit.images) {
    result.stats.load_ms += image.load_ms;
    result.stats.encode_ms += image.encode_ms;
  }
  ++tally_.generations;
  result_.emplace(std::move(result));
}

void GenerateJob::finish(const Status& status) {
  if (!status) {
    on_done_(fail(status.error()));
  } else {
    on_done_(*result_);
  }
}

}  // namespace escribano::engine
