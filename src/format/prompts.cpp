#include "format/prompts.h"

#include <algorithm>
#include <cstddef>

#include "format/chars.h"

namespace escribano {
namespace {

bool begins_name(char c) noexcept { return c == '_' || (form::is_ascii_alnum(c) && !form::is_digit(c)); }

// Length of the name that `text` begins with; 0 where it begins with none.
std::size_t name_length(std::string_view text) noexcept {
  if (text.empty() || !begins_name(text.front())) return 0;
  std::size_t length = 1;
  while (length < text.size() && (text[length] == '_' || form::is_ascii_alnum(text[length]))) ++length;
  return length;
}

Status check_names(std::span<const Placeholder> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string_view name = values[i].name;
    if (name.empty() || name_length(name) != name.size()) {
      return fail(Errc::invalid_argument, "\"{}\" cannot be the name of a placeholder", name);
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (values[j].name == name) return fail(Errc::invalid_argument, "two values are given for {{{}}}", name);
    }
  }
  return {};
}

}  // namespace

Result<std::string> fill(std::string_view template_text, std::span<const Placeholder> values) {
  ESCRIBANO_CHECK(check_names(values));
  std::string out;
  out.reserve(template_text.size());
  for (;;) {
    const std::size_t brace = template_text.find('{');
    out += template_text.substr(0, brace);
    if (brace == std::string_view::npos) return out;
    template_text.remove_prefix(brace + 1);
    const std::string_view name = template_text.substr(0, name_length(template_text));
    if (name.empty() || !template_text.substr(name.size()).starts_with('}')) {
      out += '{';
      continue;
    }
    const auto value = std::find_if(values.begin(), values.end(), [&](const Placeholder& p) { return p.name == name; });
    if (value == values.end()) {
      return fail(Errc::invalid_argument, "the prompt has a placeholder {{{}}} for which there is no value", name);
    }
    out += value->value;
    template_text.remove_prefix(name.size() + 1);
  }
}

std::string frame_label(int number, double timestamp_s) {
  // Rounding to one decimal must not leave the sign of a zero behind.
  const double shown = timestamp_s > -0.05 && timestamp_s <= 0.0 ? 0.0 : timestamp_s;
  return fmt::format("Frame {} (timestamp: {:.1f}s):", number, shown);
}

}  // namespace escribano
