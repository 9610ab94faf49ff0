#pragma once

#include <string_view>

namespace escribano::report {

// The files of assets/report/, with their SHA-256 in hexadecimal digits. Static storage.
struct PageTemplate {
  std::string_view html;  // with {{names}} in the places that html.cpp fills
  std::string_view css;
  std::string_view script;
  std::string_view css_sha256;
  std::string_view script_sha256;
};
const PageTemplate& page_template() noexcept;

}  // namespace escribano::report
