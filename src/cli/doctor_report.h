#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace escribano::cli {

enum class CheckStatus {
  ok,
  warning,  // works, but maybe not as it was meant
  failed,
  skipped,  // there is nothing to check, or it could not be done for something that failed before
};
std::string_view check_status_name(CheckStatus status) noexcept;

// One thing that `escribano doctor` has looked at.
struct Check {
  std::string name;  // stable: scripts read it
  CheckStatus status = CheckStatus::ok;
  std::string found;  // for people
  std::string mend;   // what to do about it; empty where there is nothing to do
};

Check check_ok(std::string_view name, std::string found);
Check check_warning(std::string_view name, std::string found, std::string mend);
Check check_failed(std::string_view name, std::string found, std::string mend);
Check check_skipped(std::string_view name, std::string found);

// For people: status, name and text in columns, within `columns` as far as the words allow. With its end. Pure.
std::string check_text(const Check& check, std::size_t columns);
// How it went altogether, in one sentence. Pure.
std::string checks_summary(const std::vector<Check>& checks);
// {"schema":1,"checks":[...],"ok":bool}. Pure.
std::string checks_json(const std::vector<Check>& checks);
bool any_failed(const std::vector<Check>& checks) noexcept;

}  // namespace escribano::cli
