#include "cli/doctor_report.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace escribano::cli {
namespace {

constexpr std::size_t kStatusColumns = 9;
constexpr std::size_t kNameColumns = 15;

std::size_t count_of(const std::vector<Check>& checks, CheckStatus status) {
  return static_cast<std::size_t>(
      std::count_if(checks.begin(), checks.end(), [&](const Check& check) { return check.status == status; }));
}

}  // namespace

std::string_view check_status_name(CheckStatus status) noexcept {
  switch (status) {
    case CheckStatus::ok: return "ok";
    case CheckStatus::warning: return "warning";
    case CheckStatus::failed: return "failed";
    case CheckStatus::skipped: return "skipped";
  }
  return "failed";
}

Check check_ok(std::string_view name, std::string found) {
  return {std::string(name), CheckStatus::ok, std::move(found), ""};
}
Check check_warning(std::string_view name, std::string found, std::string mend) {
  return {std::string(name), CheckStatus::warning, std::move(found), std::move(mend)};
}
Check check_failed(std::string_view name, std::string found, std::string mend) {
  return {std::string(name), CheckStatus::failed, std::move(found), std::move(mend)};
}
Check check_skipped(std::string_view name, std::string found) {
  return {std::string(name), CheckStatus::skipped, std::move(found), ""};
}

std::string check_text(const Check& check, std::size_t columns) {
  const std::size_t indent = kStatusColumns + kNameColumns;
  const std::size_t room = columns > indent + 20 ? columns - indent : 20;
  std::string text =
      fmt::format("{:<{}}{:<{}}", check_status_name(check.status), kStatusColumns, check.name, kNameColumns);
  bool first = true;
  for (const std::string& line : wrapped(check.found, room)) {
    if (!std::exchange(first, false)) text.append(indent, ' ');
    text += line + '\n';
  }
  if (check.mend.empty()) return text;
  for (const std::string& line : wrapped("-> " + check.mend, room)) text += std::string(indent, ' ') + line + '\n';
  return text;
}

std::string checks_summary(const std::vector<Check>& checks) {
  const std::size_t failed = count_of(checks, CheckStatus::failed);
  const std::size_t warnings = count_of(checks, CheckStatus::warning);
  const auto counted = [](std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  if (failed > 0) {
    return fmt::format("{} failed{}.", counted(failed, "check"),
                       warnings > 0 ? ", " + counted(warnings, "warning") : std::string());
  }
  return warnings == 0 ? "Everything works." : fmt::format("Everything works, with {}.", counted(warnings, "warning"));
}

std::string checks_json(const std::vector<Check>& checks) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    nlohmann::ordered_json entry = {
        {"name", check.name}, {"status", check_status_name(check.status)}, {"found", check.found}};
    if (!check.mend.empty()) entry["mend"] = check.mend;
    list.push_back(std::move(entry));
  }
  const nlohmann::ordered_json report = {{"schema", 1}, {"checks", std::move(list)}, {"ok", !any_failed(checks)}};
  return report.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool any_failed(const std::vector<Check>& checks) noexcept { return count_of(checks, CheckStatus::failed) > 0; }

}  // namespace escribano::cli
