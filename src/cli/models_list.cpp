#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/library.h"
#include "cli/memory.h"
#include "cli/model_setup.h"
#include "cli/models_command.h"
#include "cli/terminal.h"
#include "models/installed.h"

namespace escribano::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kColumns = 80;

// A model with what it would take to run it as configured.
struct Row {
  InstalledModel model;
  bool configured = false;
  engine::MemoryNeed need;   // without a problem
  std::optional<int> slots;  // that fit; nullopt: none do
};

struct Listing {
  std::vector<Row> rows;
  std::string configured;  // name
  bool configured_is_there = false;
  DaemonSetup setup;
  std::optional<std::uint64_t> usable_bytes;  // nullopt: nobody knows, and everything is taken to fit
};

Listing make_listing(const Settings& settings, const Environment& environment) {
  Listing listing = {.configured = settings.vlm_model.value,
                     .setup = daemon_setup(settings),
                     .usable_bytes = engine_memory(settings.memory_limit_mb.value)};
  std::vector<InstalledModel> models = installed_models(model_places(settings.home, environment));
  const auto is_configured = [&](const InstalledModel& model) { return model.name == listing.configured; };
  std::error_code error;
  if (std::ranges::none_of(models, is_configured) && std::filesystem::exists(listing.configured, error)) {
    for (InstalledModel& model : installed_at(listing.configured, listing.configured))
      models.push_back(std::move(model));
  }
  for (InstalledModel& model : models) {
    Row row = {.model = std::move(model)};
    row.configured = is_configured(row.model);
    listing.configured_is_there = listing.configured_is_there || row.configured;
    if (!row.model.problem) {
      DaemonSetup setup = listing.setup;
      setup.text_only = !row.model.info.has_vision;
      row.need = daemon_memory(row.model.info, setup);
      const int wanted = setup.text_only ? 1 : setup.batch_size;
      row.slots = listing.usable_bytes ? daemon_slots(row.model.info, setup, *listing.usable_bytes) : wanted;
    }
    listing.rows.push_back(std::move(row));
  }
  return listing;
}

std::string fits_text(const Row& row, const DaemonSetup& setup) {
  if (row.model.problem) return row.model.problem->code == Errc::no_vision ? "text only" : "unusable";
  std::string text = !row.slots ? "no" : *row.slots < setup.batch_size ? fmt::format("{} at once", *row.slots) : "yes";
  if (row.model.info.has_vision) return text;
  return row.slots ? "text only" : "no, text only";
}

std::string list_text(const Listing& listing) {
  std::size_t name_width = 4;
  std::size_t kind_width = 4;
  for (const Row& row : listing.rows) {
    name_width = std::max(name_width, row.model.name.size());
    kind_width = std::max(kind_width, row.model.kind.size());
  }
  // What is left of 80 columns by the others; a longer name stays whole, so that it can be copied.
  // Marks, gaps, two sizes and the verdict.
  constexpr std::size_t kOthers = 2 + 2 + 2 + 8 + 2 + 8 + 2 + 9;
  name_width = std::min(name_width, kColumns - std::min(kColumns / 2, kind_width + kOthers));
  std::string text = fmt::format("  {:{}}  {:{}}  {:>8}  {:>8}  {}\n", "NAME", name_width, "KIND", kind_width, "SIZE",
                                 "MEMORY", "FITS");
  for (const Row& row : listing.rows) {
    text += fmt::format("{} {:{}}  {:{}}  {:>8}  {:>8}  {}\n", row.configured ? '*' : ' ', row.model.name, name_width,
                        row.model.kind.empty() ? "-" : row.model.kind, kind_width, human_bytes(row.model.size_bytes),
                        row.model.problem ? "-" : human_bytes(row.need.total_bytes()), fits_text(row, listing.setup));
  }
  text += "\n";
  const auto note = [&](const std::string& sentence) {
    for (const std::string& line : wrapped(sentence, kColumns)) text += line + "\n";
  };
  note(fmt::format(
      "* is the configured one. The memory is for {} frames at once; {}.", listing.setup.batch_size,
      listing.usable_bytes ? human_bytes(*listing.usable_bytes) + " can be had" : "how much can be had is not known"));
  if (!listing.configured_is_there) {
    note(fmt::format("The configured model, {}, is not on this machine.", printable(listing.configured)));
  }
  for (const Row& row : listing.rows) {
    if (row.model.problem) note(fmt::format("{}: {}", row.model.name, row.model.problem->message));
  }
  return text;
}

std::string list_json(const Listing& listing) {
  Json models = Json::array();
  for (const Row& row : listing.rows) {
    Json model = {{"name", row.model.name},
                  {"path", printable(row.model.path)},
                  {"kind", row.model.kind},
                  {"configured", row.configured},
                  {"size_bytes", row.model.size_bytes}};
    if (row.model.problem) {
      model["error"] = {{"code", errc_name(row.model.problem->code)}, {"message", row.model.problem->message}};
    } else {
      model["vision"] = row.model.info.has_vision;
      model["memory_bytes"] = row.need.total_bytes();
      model["memory"] = {{"weights_bytes", row.need.weights_bytes},
                         {"context_bytes", row.need.context_bytes},
                         {"compute_bytes", row.need.compute_bytes},
                         {"cache_bytes", row.need.cache_bytes},
                         {"program_bytes", row.need.program_bytes}};
      model["fits"] = row.slots.has_value();
      model["frames_at_once"] = row.slots.value_or(0);
    }
    models.push_back(std::move(model));
  }
  Json document = {{"schema", 1}, {"configured", listing.configured}, {"batch_size", listing.setup.batch_size}};
  document["usable_bytes"] = listing.usable_bytes ? Json(*listing.usable_bytes) : Json();
  document["models"] = std::move(models);
  return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<ExitCode> list(bool json, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  const Listing listing = make_listing(settings, environment);
  ESCRIBANO_CHECK(print_out(json ? list_json(listing) : list_text(listing)));
  return ExitCode::done;
}

}  // namespace

void add_models_list(CLI::App& models, const Environment& environment, ExitCode& exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = models.add_subcommand("list", "The models on this machine, and whether each fits its memory");
  command->footer(
      "The demo model, those under ESCRIBANO_HOME/models and those of the Hugging Face cache. Nothing is imported: "
      "what "
      "a folder will take is read from its headers.\n\n"
      "Example:\n  escribano models list");
  command->add_flag("--json", *json, "Print one JSON object");
  command->callback([json, environment, &exit_code] { exit_code = exit_with(list(*json, environment)); });
}

}  // namespace escribano::cli
