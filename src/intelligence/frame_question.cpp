#include "intelligence/frame_question.h"

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "format/parser.h"
#include "format/prompts.h"

namespace escribano {
namespace {

using protocol::ContentPart;

// The part of `total` that is one of `parts`; all of them add up to it.
int share(int total, std::size_t parts, std::size_t number) {
  const auto count = static_cast<int>(parts);
  return total / count + (static_cast<int>(number) < total % count ? 1 : 0);
}

FrameResult result_of(FrameAnswer answer, std::string_view text) {
  FrameResult result;
  if (answer.description) {
    result.description = std::move(answer.description->description);
    result.activity = std::move(answer.description->activity);
    result.apps = std::move(answer.description->apps);
    result.topics = std::move(answer.description->topics);
  } else {
    // An answer that does not even name the frame is kept whole: what the model said must not get lost.
    result.raw_response = answer.raw.empty() ? to_valid_utf8(text) : std::move(answer.raw);
  }
  return result;
}

}  // namespace

Result<FrameQuestion> FrameQuestion::make(std::span<const SentFrame> frames, const DescribeOptions& options) {
  FrameQuestion question;
  question.interleaved_ = options.strategy == DescribeStrategy::interleaved;
  protocol::ChatMessage message{.role = "user", .content = {}};
  for (const SentFrame& sent : frames) {
    const auto file = MappedFile::open(sent.frame.path);
    question.unreadable_.push_back(file ? std::nullopt : std::optional(file.error()));
    if (!file) continue;
    ++question.asked_;
    if (question.interleaved_) {
      message.content.push_back(
          {ContentPart::Kind::text, frame_label(static_cast<int>(question.asked_), sent.frame.timestamp_s)});
    }
    message.content.push_back({ContentPart::Kind::image, sent.frame.path.native()});
  }
  const std::string_view builtin = builtin_prompt(question.interleaved_ ? PromptKind::batch : PromptKind::single);
  ESCRIBANO_TRY(std::string prompt, fill(options.prompt.empty() ? builtin : std::string_view(options.prompt),
                                         {{"n", std::to_string(question.asked_)}}));
  if (question.asked_ == 0) return question;
  message.content.push_back({ContentPart::Kind::text, std::move(prompt)});
  protocol::Infer& request = question.request_.emplace();
  request.method = protocol::Infer::Method::vlm_infer;
  request.content.messages.push_back(std::move(message));
  request.max_tokens =
      question.interleaved_ ? options.max_tokens : std::max(1, options.max_tokens / options.batch_size);
  request.temperature = options.temperature;
  return question;
}

std::vector<FrameResult> FrameQuestion::results(const Result<protocol::TextAnswer>& answer) const {
  std::vector<FrameAnswer> answers;
  if (answer && interleaved_) answers = parse_frame_answers(answer->text, asked_);
  if (answer && !interleaved_) answers.push_back({parse_description(answer->text), {}});
  std::vector<FrameResult> results;
  std::size_t number = 0;
  for (const auto& unreadable : unreadable_) {
    if (unreadable || !answer) {
      FrameResult& result = results.emplace_back();
      result.error = unreadable ? *unreadable : answer.error();
      result.stats.attempts = 0;
      continue;
    }
    FrameResult& result = results.emplace_back(result_of(std::move(answers[number]), answer->text));
    result.stats.prompt_tokens = share(answer->prompt_tokens, asked_, number);
    result.stats.generation_tokens = share(answer->generation_tokens, asked_, number);
    result.stats.decode_ms = answer->generate_time_s * 1000 / static_cast<double>(asked_);
    result.stats.finish_reason = answer->finish_reason;
    ++number;
  }
  return results;
}

}  // namespace escribano
