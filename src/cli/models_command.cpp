#include "cli/models_command.h"

#include <memory>
#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/library.h"
#include "cli/model_setup.h"

namespace escribano::cli {
namespace {

Result<ExitCode> path(const std::string& name, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  const bool is_configured = name.empty();
  const ModelChoice choice = {.name = is_configured ? settings.vlm_model.value : name,
                              .or_demo = is_configured && settings.vlm_model.is_default(),
                              .needs_vision = false};
  ESCRIBANO_TRY(const ChosenModel model, find_model(choice, settings.home, environment, tell));
  ESCRIBANO_CHECK(print_out(file_lines(model.files)));
  return ExitCode::done;
}

Result<ExitCode> import(const std::string& folder, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  if (!std::filesystem::is_directory(folder)) {
    return fail(Errc::not_found, "{}: there is no such folder", printable(folder));
  }
  ESCRIBANO_TRY(const ChosenModel model, find_model({.name = std::filesystem::path(folder) / "", .needs_vision = false},
                                                    settings.home, environment, tell));
  ESCRIBANO_CHECK(print_out(file_lines(model.files)));
  return ExitCode::done;
}

}  // namespace

std::string file_lines(const ModelFiles& files) {
  std::string text = files.model.native() + "\n";
  if (!files.projector.empty()) text += files.projector.native() + "\n";
  return text;
}

void add_models_path(CLI::App& models, const Environment& environment, ExitCode& exit_code) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = models.add_subcommand("path", "The files of a model, a line each");
  command->footer(
      "A folder in Hugging Face's or MLX's layout is imported first, once.\n\n"
      "Example:\n  escribano models path demo");
  command->add_option("NAME", *name, "As for --model of other commands; without it, the configured one");
  command->callback([name, environment, &exit_code] { exit_code = exit_with(path(*name, environment)); });
}

void add_models_import(CLI::App& models, const Environment& environment, ExitCode& exit_code) {
  auto folder = std::make_shared<std::string>();
  CLI::App* command = models.add_subcommand("import", "Make a folder of weights ready to run");
  command->footer(
      "The folder is left as it is. What is made of it lies in the cache of ESCRIBANO_HOME and is found again by the "
      "contents of the folder; the two files are printed.\n\n"
      "Example:\n  escribano models import ~/models/Qwen3-VL-2B-Instruct-bf16");
  command->add_option("FOLDER", *folder, "In Hugging Face's or MLX's layout")->required();
  command->callback([folder, environment, &exit_code] { exit_code = exit_with(import(*folder, environment)); });
}

void add_models_command(CLI::App& app, const Environment& environment, ExitCode& exit_code) {
  CLI::App* models = app.add_subcommand("models", "Models: where they are, and what it takes to run them");
  models->require_subcommand(1);
  models->footer("'escribano models COMMAND --help' shows the options of each.");
  add_models_list(*models, environment, exit_code);
  add_models_check(*models, environment, exit_code);
  add_models_path(*models, environment, exit_code);
  add_models_import(*models, environment, exit_code);
  add_models_pull(*models, environment, exit_code);
  for (CLI::App* command : models->get_subcommands([](const CLI::App*) { return true; })) command->group("Commands");
}

}  // namespace escribano::cli
