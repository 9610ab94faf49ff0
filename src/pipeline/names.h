#pragma once

#include <string>
#include <string_view>

namespace escribano {

// Two spellings of the same app have the same key: case, spaces, "VSCode" and "Visual Studio Code", "Google Chrome" and
// "Chrome", versions behind the name. Different apps have different keys: "Code" is not "Xcode", "Teams" not "Team
// Fortress", "Word" not "WordPress". Pure; any text.
std::string app_key(std::string_view app);
// How an app is written: of a known one the usual spelling, else `app` with single spaces.
std::string app_name(std::string_view app);
// The same for a topic: case, '-' and '_' as spaces, a plural 's'. "API design" and "api-designs" have one key.
std::string topic_key(std::string_view topic);

}  // namespace escribano
