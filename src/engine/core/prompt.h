#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/backend.h"

namespace escribano::engine {

// Part of a message: text, or the image with that number among the images of the prompt.
struct ImagePart {
  std::size_t image = 0;
};
using MessagePart = std::variant<std::string, ImagePart>;

struct PromptMessage {
  std::string role;
  std::vector<MessagePart> parts;
};

// Who can speak in a conversation: system, user, assistant.
bool is_chat_role(std::string_view role) noexcept;

// A prompt ready for the context: runs of tokens with images between them, in order. The last piece is text.
struct Prompt {
  using Piece = std::variant<std::vector<Token>, ImagePart>;
  std::vector<Piece> pieces;

  int text_tokens() const noexcept;
};

// A conversation in the form that the model was trained on, up to and with the opening of the answer. The texts of its
// parts are tokenised without looking for control marks: what a caller writes cannot end a turn. Thread-safe.
//
// Models whose template is ChatML, or that bring none, get ChatML turns, with <|vision_start|> and <|vision_end|> around
// an image, and the system message that their template begins with where `messages` do not; unless `think`, an empty
// thought opens the answer where the template knows enable_thinking. Other templates are applied by
// Backend::format_chat, and take no images. Fails with invalid_argument for an unknown role, with
// unsupported for a template that is not understood, leaves a message out, or would have to take an image.
Result<Prompt> build_conversation(const Backend& backend, std::span<const PromptMessage> messages, bool think);

// One user turn of ChatML: what a conversation of one message of a user is for the models that can look at images.
Result<Prompt> build_user_turn(const Backend& backend, const std::vector<MessagePart>& parts);

// A prompt that its caller has put into the model's form: control marks in it are control tokens.
Result<Prompt> build_formatted(const Backend& backend, std::string_view text);

}  // namespace escribano::engine
