#pragma once

// The apps whose spellings are known. Private to this folder.

#include <string>
#include <string_view>

namespace escribano {

// The usual spelling of the app that `compact` (words::compact()) is a spelling of; null where it is none. Static
// storage.
const std::string* known_app(std::string_view compact);

}  // namespace escribano
