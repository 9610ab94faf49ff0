#include "intelligence/frame_chat.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/base64.h"
#include "base/file.h"
#include "base/utf8.h"
#include "format/parser.h"
#include "format/prompts.h"
#include "format/thought.h"

namespace escribano {
namespace {

std::string_view mime_type_of(std::span<const std::byte> bytes) {
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 16));
  if (head.starts_with("\xFF\xD8\xFF")) return "image/jpeg";
  if (head.starts_with("\x89PNG\r\n\x1A\n")) return "image/png";
  if (head.starts_with("RIFF") && head.substr(std::min<std::size_t>(head.size(), 8)).starts_with("WEBP")) {
    return "image/webp";
  }
  return {};
}

// Share i of `total` split evenly over `parts`; the shares add up to `total`.
int share(int total, std::size_t parts, std::size_t i) {
  const int count = static_cast<int>(parts);
  return total / count + (static_cast<int>(i) < total % count ? 1 : 0);
}

void put(FrameResult& result, Description description) {
  result.description = std::move(description.description);
  result.activity = std::move(description.activity);
  result.apps = std::move(description.apps);
  result.topics = std::move(description.topics);
}

// What could not be parsed, without thoughts; all of it where it consists of nothing else.
std::string raw_of(std::string_view text) {
  std::string raw = without_thought(text);
  const std::size_t begin = raw.find_first_not_of(" \t\r\n");
  return to_valid_utf8(begin == std::string::npos ? text : std::string_view(raw).substr(begin));
}

}  // namespace

std::vector<FrameGroup> group_frames(std::size_t frames, const DescribeOptions& options) {
  const std::size_t size =
      options.strategy == DescribeStrategy::parallel ? 1 : static_cast<std::size_t>(options.batch_size);
  std::vector<FrameGroup> groups;
  for (std::size_t begin = 0; begin < frames; begin += size) groups.push_back({begin, std::min(size, frames - begin)});
  return groups;
}

Result<ChatImage> load_chat_image(const std::filesystem::path& path, std::uint64_t max_bytes) {
  ESCRIBANO_TRY(const std::vector<std::byte> bytes, read_file(path, max_bytes));
  const std::string_view mime_type = mime_type_of(bytes);
  if (mime_type.empty()) {
    return fail(Errc::unsupported, "{} is not a JPEG, PNG or WebP picture", printable(path));
  }
  return ChatImage{std::string(mime_type), to_base64(bytes)};
}

Result<FrameChat> FrameChat::prepare(std::span<const Frame> images, FrameGroup group, const DescribeOptions& options,
                                     std::uint64_t max_image_bytes) {
  FrameChat chat;
  chat.interleaved_ = options.strategy == DescribeStrategy::interleaved;
  ChatRequest request;
  for (std::size_t i = group.begin; i < group.begin + group.count; ++i) {
    Member& member = chat.members_.emplace_back();
    member.result.index = i;
    member.result.timestamp_s = images[i].timestamp_s;
    member.result.image_path = images[i].path.native();
    const auto began = std::chrono::steady_clock::now();
    Result<ChatImage> image = load_chat_image(images[i].path, max_image_bytes);
    member.result.stats.load_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    if (!image) {
      member.result.error = image.error();
      member.result.stats.attempts = 0;
      continue;
    }
    member.asked = true;
    ++chat.asked_;
    std::string label;
    if (chat.interleaved_) label = frame_label(static_cast<int>(chat.asked_), images[i].timestamp_s);
    request.pictures.push_back({std::move(label), *std::move(image)});
  }
  const std::string_view builtin = builtin_prompt(chat.interleaved_ ? PromptKind::batch : PromptKind::single);
  ESCRIBANO_TRY(request.text, fill(options.prompt.empty() ? builtin : std::string_view(options.prompt),
                                   {{"n", std::to_string(chat.asked_)}}));
  request.max_tokens =
      chat.interleaved_ ? options.max_tokens : std::max(1, options.max_tokens / std::max(1, options.batch_size));
  request.temperature = options.temperature;
  if (chat.asked_ > 0) chat.request_ = std::move(request);
  return chat;
}

std::vector<FrameResult> FrameChat::results(const Result<ChatAnswer>& answer) const {
  std::vector<FrameAnswer> answers;
  if (answer && interleaved_) answers = parse_frame_answers(answer->text, asked_);
  if (answer && !interleaved_) answers.push_back({parse_description(answer->text), {}});
  std::vector<FrameResult> results;
  std::size_t number = 0;
  for (const Member& member : members_) {
    FrameResult& result = results.emplace_back(member.result);
    if (!member.asked) continue;
    if (!answer) {
      result.error = answer.error();
      result.stats.attempts = 0;
      continue;
    }
    FrameAnswer& mine = answers[number];
    if (mine.description) {
      put(result, *std::move(mine.description));
    } else {
      // An answer that does not even name the frame is kept whole: what the model said must not get lost.
      result.raw_response = mine.raw.empty() ? raw_of(answer->text) : std::move(mine.raw);
    }
    const auto part = static_cast<double>(asked_);
    result.stats.prompt_tokens = share(answer->prompt_tokens, asked_, number);
    result.stats.generation_tokens = share(answer->generation_tokens, asked_, number);
    result.stats.prefill_ms = answer->prefill_ms / part;
    result.stats.decode_ms = answer->decode_ms / part;
    result.stats.finish_reason = answer->finish_reason;
    ++number;
  }
  return results;
}

}  // namespace escribano
