#include "engine/core/unit.h"

#include <variant>

namespace escribano::engine {

std::shared_ptr<Unit> make_unit(const std::shared_ptr<Job>& job, std::size_t first, std::size_t count) {
  auto unit = std::make_shared<Unit>();
  unit->job = job;
  unit->images = std::vector<LoadedImage>(count);
  for (LoadedImage& image : unit->images) image.frame = first++;
  unit->images_loading = static_cast<int>(count);
  return unit;
}

std::uint64_t text_hash(const Prompt& prompt) {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const Prompt::Piece& piece : prompt.pieces) {
    const auto* tokens = std::get_if<std::vector<Token>>(&piece);
    if (tokens == nullptr) continue;
    for (const Token token : *tokens) hash = (hash ^ static_cast<std::uint32_t>(token)) * 0x100000001b3U;
  }
  return hash;
}

std::uint64_t sampling_salt(const Unit& unit) {
  if (!unit.members.empty()) return unit.images[unit.members.front()].hash.low;
  return text_hash(unit.prompt);
}

}  // namespace escribano::engine
