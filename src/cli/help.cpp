#include "cli/help.h"

#include <string>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/terminal.h"

namespace escribano::cli {
namespace {

constexpr std::size_t kColumns = 80;

std::string paragraphs(std::string_view text) { return fmt::format("{}\n", fmt::join(wrapped(text, kColumns), "\n")); }

class HelpFormatter final : public CLI::Formatter {
 public:
  HelpFormatter() {
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }

  std::string make_option(const CLI::Option* option, bool is_positional) const override {
    return entry(make_option_name(option, is_positional) + make_option_opts(option), make_option_desc(option));
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    // What excludes what is said when somebody tries it.
    const std::string& text = option->get_option_text();
    return text.empty() || text.starts_with(' ') ? text : " " + text;
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), command->get_description());
  }
  std::string make_description(const CLI::App* app) const override { return paragraphs(app->get_description()) + "\n"; }
  std::string make_footer(const CLI::App* app) const override {
    return app->get_footer().empty() ? std::string() : paragraphs(app->get_footer());
  }

 private:
  std::string entry(const std::string& name, const std::string& description) const {
    const std::size_t left = get_column_width();
    std::string text = "  " + name;
    bool first = text.size() + 1 < left;  // on the line of the name
    if (first) text.resize(left, ' ');
    if (!first) text += '\n';
    for (const std::string& line : wrapped(description, kColumns - left)) {
      if (!first) text.append(left, ' ');
      text += line + '\n';
      first = false;
    }
    return text;
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace escribano::cli
