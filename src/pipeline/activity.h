#pragma once

#include <span>
#include <string_view>

namespace escribano {

// The activities that segments have, in the order in which ties are broken; "other" is the last. Static storage.
std::span<const std::string_view> known_activities() noexcept;

// The one of known_activities() that a model's word means: "Code review" is reviewing, "browsing" reading. "other"
// where none is near. Pure; any text.
std::string_view normalised_activity(std::string_view activity) noexcept;

}  // namespace escribano
