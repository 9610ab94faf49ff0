#include <algorithm>
#include <memory>
#include <string>

#include <fmt/core.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/library.h"

namespace escribano::cli {
namespace {

std::string config_json(const Settings& settings) {
  using Json = nlohmann::ordered_json;
  Json rows = Json::array();
  for (const SettingRow& row : settings.rows()) {
    rows.push_back({{"key", row.key}, {"variable", row.variable}, {"value", row.value}, {"source", row.source}});
  }
  const Json document = {{"schema", 1},
                         {"home", printable(settings.home)},
                         {"config_file", printable(settings.config_file())},
                         {"settings", std::move(rows)}};
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string config_text(const Settings& settings) {
  const std::vector<SettingRow> rows = settings.rows();
  std::size_t keys = 0;
  std::size_t values = 0;
  for (const SettingRow& row : rows) {
    keys = std::max(keys, row.key.size());
    values = std::max(values, row.value.size());
  }
  std::string text = fmt::format("home: {}\nfile: {}\n\n", printable(settings.home), printable(settings.config_file()));
  for (const SettingRow& row : rows) {
    text += fmt::format("{:{}}  {:{}}  {}\n", row.key, keys, row.value, values, row.source);
  }
  return text;
}

Result<ExitCode> config(bool json, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  ESCRIBANO_CHECK(print_out(json ? config_json(settings) : config_text(settings)));
  return ExitCode::done;
}

}  // namespace

void add_config_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("config", "The settings, and where each comes from");
  command->footer(
      "Defaults, then config.json in ESCRIBANO_HOME, then the environment, then the options of a command. A key KEY is "
      "the "
      "variable ESCRIBANO_KEY.\n\nExample:\n  ESCRIBANO_SAMPLE_INTERVAL=5 escribano config");
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, environment, &exit_code] { exit_code = exit_with(config(*json, environment)); });
}

}  // namespace escribano::cli
