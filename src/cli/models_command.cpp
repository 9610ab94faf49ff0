#include "cli/models_command.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/file.h"
#include "cli/library.h"
#include "cli/model_setup.h"

namespace escribano::cli {
namespace {

constexpr std::array kQuantizations = {Quantization::q8_0, Quantization::q4_k_m};

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

struct ImportArguments {
  std::string folder;
  std::string quantize;  // empty: as the folder has it
};

Result<ExitCode> import(const ImportArguments& arguments, const Environment& environment) {
  ESCRIBANO_TRY(const Settings settings, Settings::read(environment));
  if (!std::filesystem::is_directory(arguments.folder)) {
    return fail(Errc::not_found, "{}: there is no such folder", printable(arguments.folder));
  }
  std::optional<Quantization> quantize;
  for (const Quantization type : kQuantizations) {
    if (arguments.quantize == quantization_name(type)) quantize = type;
  }
  const ModelChoice choice = {.name = std::filesystem::path(arguments.folder) / "",
                              .needs_vision = false,
                              .import = checked_import(settings, environment, quantize)};
  ESCRIBANO_TRY(const ChosenModel model, find_model(choice, settings.home, environment, tell));
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
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* command = models.add_subcommand("import", "Make a folder of weights ready to run");
  command->footer(
      "The folder is left as it is. What is made of it lies in the cache of ESCRIBANO_HOME, is found again by the "
      "contents of the folder, and is kept only if it describes a picture; the two files are printed. A quantised "
      "model "
      "is used by the path of its first file.\n\n"
      "Examples:\n  escribano models import ~/models/Qwen3-VL-2B-Instruct-bf16\n"
      "  escribano models import --quantize q8_0 ~/models/Qwen3-VL-2B-Instruct-bf16");
  std::vector<std::string> types;
  types.reserve(kQuantizations.size());
  for (const Quantization type : kQuantizations) types.emplace_back(quantization_name(type));
  command
      ->add_option("--quantize", arguments->quantize,
                   "q8_0 or q4_k_m: quantise the language model, which then needs less memory and decodes faster; the "
                   "vision tower "
                   "stays as it is")
      ->check(CLI::IsMember(types));
  command->add_option("FOLDER", arguments->folder, "In Hugging Face's or MLX's layout")->required();
  command->callback([arguments, environment, &exit_code] { exit_code = exit_with(import(*arguments, environment)); });
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
