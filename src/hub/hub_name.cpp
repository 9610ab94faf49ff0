#include "hub/hub_name.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "base/file.h"
#include "models/resolve.h"

namespace escribano::hub {
namespace {

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= 200 && text.front() != '-' && text.front() != '/' && text.back() != '/' &&
         text.find("..") == std::string_view::npos && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/';
         });
}

bool is_quant(std::string_view text) {
  return !text.empty() && text.size() <= 40 && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

Result<HubName> parse_hub_name(std::string_view text) {
  HubName name;
  std::string_view rest = text;
  bool good = true;
  if (const std::size_t colon = rest.find(':'); colon != std::string_view::npos) {
    name.quant = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    good = is_quant(name.quant);
  }
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    name.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
    good = good && is_revision(name.revision);
  }
  name.repository = rest;
  if (!good || !is_hub_name(name.repository)) {
    return fail(Errc::invalid_argument,
                "{} is no name of a model on the hub; it has the form ORG/NAME[@REVISION][:QUANT]",
                printable(text.substr(0, 200)));
  }
  return name;
}

std::string to_text(const HubName& name) {
  std::string text = name.repository;
  if (name.revision != "main") text += "@" + name.revision;
  if (!name.quant.empty()) text += ":" + name.quant;
  return text;
}

std::string shown_size(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  if (value < 999.5e3) return fmt::format("{:.0f} kB", value / 1e3);
  if (value < 999.5e6) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.2f} GB", value / 1e9);
}

}  // namespace escribano::hub
