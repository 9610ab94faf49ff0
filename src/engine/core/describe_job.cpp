#include "engine/core/describe_job.h"

#include <algorithm>
#include <span>
#include <utility>
#include <variant>

#include "base/utf8.h"
#include "format/parser.h"
#include "format/prompts.h"

namespace escribano::engine {
namespace {

// Share i of `total` split evenly over `parts`; the shares add up to `total`.
int share(int total, std::size_t parts, std::size_t i) {
  const int count = static_cast<int>(parts);
  return total / count + (static_cast<int>(i) < total % count ? 1 : 0);
}

}  // namespace

DescribeJob::DescribeJob(JobId id, DescribeRequest request, DescribeObserver observer, int frames_per_prompt)
    : Job(id),
      request_(std::move(request)),
      observer_(std::move(observer)),
      frames_per_prompt_(request_.strategy == Strategy::parallel ? 1 : static_cast<std::size_t>(frames_per_prompt)),
      waiting_(request_.frames.size()) {}

std::shared_ptr<Unit> DescribeJob::next_unit(const std::shared_ptr<Job>& self) {
  const std::size_t count = std::min(frames_per_prompt_, waiting_frames());
  next_frame_ += count;
  return make_unit(self, next_frame_ - count, count);
}

Result<Prompt> DescribeJob::prompt(const Backend& backend, const Unit& unit) const {
  ESCRIBANO_TRY(const std::vector<MessagePart> parts, message(unit));
  return build_user_turn(backend, parts);
}

Result<std::vector<MessagePart>> DescribeJob::message(const Unit& unit) const {
  const bool parallel = request_.strategy == Strategy::parallel;
  const std::string_view wording = !request_.prompt.empty()
                                       ? std::string_view(request_.prompt)
                                       : builtin_prompt(parallel ? PromptKind::single : PromptKind::batch);
  const std::string count = std::to_string(unit.members.size());
  const Placeholder placeholders[] = {{"n", count}};
  ESCRIBANO_TRY(std::string text, fill(wording, placeholders));

  std::vector<MessagePart> parts;
  for (std::size_t i = 0; i < unit.members.size(); ++i) {
    if (!parallel) {
      const FrameInput& frame = request_.frames[unit.images[unit.members[i]].frame];
      parts.emplace_back(frame_label(static_cast<int>(i) + 1, frame.timestamp_s));
    }
    parts.emplace_back(ImagePart{i});
  }
  parts.emplace_back(std::move(text));
  return parts;
}

std::optional<LineGrammar> DescribeJob::grammar(std::size_t frames, bool constrained) const {
  if (!constrained) return std::nullopt;
  if (request_.strategy == Strategy::parallel) return LineGrammar::single();
  return LineGrammar::frames(static_cast<int>(frames));
}

std::optional<AnswerKey> DescribeJob::answer_key(const Unit& unit) const {
  if (!request_.reuse || request_.strategy != Strategy::parallel || unit.members.size() != 1) return std::nullopt;
  AnswerKey key = {
      .image = unit.images[unit.members.front()].hash,
      .temperature = request_.sampling.temperature,
      .seed = request_.sampling.seed,
      .max_tokens = request_.max_tokens,
      .constrained = request_.constrained,
  };
  for (const Prompt::Piece& piece : unit.prompt.pieces) {
    if (const auto* tokens = std::get_if<std::vector<Token>>(&piece)) {
      key.prompt = hash_bytes(std::as_bytes(std::span(*tokens)), key.prompt);
    }
  }
  return key;
}

AttemptState::Outcome DescribeJob::outcome(const Unit& unit, std::string_view text, FinishReason reason) const {
  using Outcome = AttemptState::Outcome;
  if (reason == FinishReason::length) return Outcome::truncated;
  if (reason == FinishReason::loop) return Outcome::looping;
  if (request_.strategy == Strategy::parallel) {
    return parse_description(text) ? Outcome::parsed : Outcome::unparsed;
  }
  const std::vector<FrameAnswer> answers = parse_frame_answers(text, unit.members.size());
  const bool all = std::all_of(answers.begin(), answers.end(), [](const auto& a) { return a.description.has_value(); });
  return all ? Outcome::parsed : Outcome::unparsed;
}

FrameResult DescribeJob::failed_frame(const LoadedImage& image, const Error& error) const {
  FrameResult result;
  result.index = image.frame;
  result.status = FrameStatus::failed;
  result.error = image.error ? *image.error : error;
  result.stats.load_ms = image.load_ms;
  result.stats.image_width_px = image.size.width_px;
  result.stats.image_height_px = image.size.height_px;
  result.stats.attempts = 0;
  return result;
}

void DescribeJob::deliver_failure(const Unit& unit, const Error& error) {
  for (const LoadedImage& image : unit.images) deliver(failed_frame(image, error));
}

void DescribeJob::deliver_answer(const Unit& unit, const std::string& text, FinishReason reason) {
  const std::size_t count = unit.members.size();
  std::vector<FrameAnswer> answers;
  if (request_.strategy == Strategy::parallel) {
    answers.push_back({parse_description(text), to_valid_utf8(text)});
  } else {
    answers = parse_frame_answers(text, count);
  }
  const Sequence& sequence = unit.sequence;
  std::size_t member = 0;
  for (std::size_t i = 0; i < unit.images.size(); ++i) {
    const LoadedImage& image = unit.images[i];
    if (member == count || unit.members[member] != i) {
      deliver(failed_frame(image, Error{}));
      continue;
    }
    FrameResult result;
    result.index = image.frame;
    result.raw = std::move(answers[member].raw);
    if (answers[member].description) {
      result.status = FrameStatus::described;
      result.description = *std::move(answers[member].description);
    } else {
      result.status = FrameStatus::unparsed;
      // An answer that does not even name the frame is kept whole: what the model said must not get lost.
      if (result.raw.empty()) result.raw = to_valid_utf8(text);
    }
    result.stats = {
        .prompt_tokens = share(sequence.prompt_tokens, count, member),
        .generation_tokens = share(sequence.sampled_tokens, count, member),
        .drafted_tokens = sequence.drafted_tokens,
        .accepted_tokens = sequence.accepted_tokens,
        .image_tokens = image.tokens,
        .image_width_px = image.size.width_px,
        .image_height_px = image.size.height_px,
        .load_ms = image.load_ms,
        .encode_ms = image.encode_ms,
        .prefill_ms = sequence.prefill_ms / static_cast<double>(count),
        .decode_ms = sequence.decode_ms / static_cast<double>(count),
        .finish_reason = reason,
        .attempts = sequence.attempts,
        .reused = image.reused,
    };
    deliver(std::move(result));
    ++member;
  }
}

void DescribeJob::deliver(FrameResult result) {
  switch (result.status) {
    case FrameStatus::described: ++tally_.described; break;
    case FrameStatus::unparsed: ++tally_.unparsed; break;
    case FrameStatus::failed: ++tally_.failed; break;
  }
  const std::size_t index = result.index;
  waiting_[index] = std::move(result);
}

void DescribeJob::hand_out() {
  while (delivered_ < waiting_.size() && waiting_[delivered_]) {
    observer_.on_frame(*waiting_[delivered_]);
    waiting_[delivered_].reset();
    ++delivered_;
  }
}

void DescribeJob::finish(const Status& status) { observer_.on_done(status); }

}  // namespace escribano::engine
