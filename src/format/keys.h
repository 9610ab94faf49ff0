#pragma once

// The four keys of a line, as models really write them. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace escribano::form {

enum class Field : std::uint8_t { description, activity, apps, topics };

struct Key {
  Field field = Field::description;
  std::size_t begin = 0;  // where the value in front of it ends
  std::size_t value = 0;  // where its own value begins
  char unclosed = '\0';   // emphasis opened in front of the name whose other end is behind the value
};

// The key whose name begins at `name`, if there is one: the name in any case of letters, then a colon, emphasis around
// either. No emphasis is looked for in front of `floor`.
std::optional<Key> key_named_at(std::string_view text, std::size_t name, std::size_t floor);

// The key that begins at `at` behind any spaces, bullets, numbering and emphasis on the same line. For places where a
// key may begin: behind '|' or a line break, and where the text begins.
std::optional<Key> key_at(std::string_view text, std::size_t at);

// The first key behind a '|' or a line break at or after `from`; begin is that separator.
std::optional<Key> next_key(std::string_view text, std::size_t from);

// Where spaces, bullets, heading marks, numbering and emphasis that begin at `at` end.
std::size_t skip_marks(std::string_view text, std::size_t at) noexcept;

}  // namespace escribano::form
