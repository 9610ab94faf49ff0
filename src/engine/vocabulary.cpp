#include <utility>

#include "engine/backend.h"

namespace escribano::engine {

Vocabulary::Vocabulary(std::span<const std::string> pieces, std::vector<bool> ends) : ends_(std::move(ends)) {
  offsets_.reserve(pieces.size() + 1);
  offsets_.push_back(0);
  for (const std::string& piece : pieces) {
    bytes_ += piece;
    offsets_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
}

}  // namespace escribano::engine
