#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "engine/backend.h"

namespace escribano::engine {

// Part of a user message: text, or the image with that number among the images of the prompt.
struct ImagePart {
  std::size_t image = 0;
};
using MessagePart = std::variant<std::string, ImagePart>;

// A prompt ready for the context: runs of tokens with images between them, in order.
struct Prompt {
  using Piece = std::variant<std::vector<Token>, ImagePart>;
  std::vector<Piece> pieces;

  int text_tokens() const noexcept;
};

// One user turn in the ChatML form that the Qwen-VL models were trained on, up to and with the opening of the answer.
// The text of `parts` is tokenised without looking for control marks: what a caller writes cannot end the turn.
// Thread-safe like Backend::tokenize.
Result<Prompt> build_user_turn(const Backend& backend, const std::vector<MessagePart>& parts);

}  // namespace escribano::engine
