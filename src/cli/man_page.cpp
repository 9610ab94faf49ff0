#include "cli/man_page.h"

#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace escribano::cli {
namespace {

// Plain text as roff prints it: nothing in it is a request or an escape, and a dash is one that can be copied.
std::string escaped(std::string_view text) {
  std::string out;
  bool line_begin = true;
  for (const char c : text) {
    if (line_begin && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begin = c == '\n';
  }
  return out;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

class Page {
 public:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }
  // Lines that begin with a space stand as they are, empty ones part paragraphs. A paragraph does not follow a heading.
  void paragraphs(std::string_view text, bool after_heading) {
    bool part = !after_heading;
    bool verbatim = false;
    const auto end_verbatim = [&] {
      if (verbatim) line(".EE\n.RE");
      verbatim = false;
    };
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      const std::string_view one = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (one.empty()) {
        end_verbatim();
        part = true;
        continue;
      }
      if (one.front() == ' ') {
        if (!verbatim) line(".RS 4\n.EX");
        verbatim = true;
        line("{}", escaped(one.substr(one.find_first_not_of(' '))));
        continue;
      }
      end_verbatim();
      if (part) line(".PP");
      part = false;
      line("{}", escaped(one));
    }
    end_verbatim();
  }
  void option(const OptionEntry& option) {
    std::string head;
    for (const std::string& name : option.names) {
      head += fmt::format("{}\\fB{}\\fR", head.empty() ? "" : ", ", escaped(name));
    }
    if (!option.value.empty()) head += fmt::format(" \\fI{}\\fR", escaped(option.value));
    entry(head, option.description);
  }
  void entry(std::string_view head, std::string_view description) { line(".TP\n{}\n{}", head, escaped(description)); }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void add_command(Page& page, const CommandEntry& command, std::string_view program) {
  page.line(".SS {} {}", program, escaped(command.path));
  std::string usage = fmt::format("\\fB{} {}\\fR [\\fIOPTIONS\\fR]", program, escaped(command.path));
  if (!command.commands.empty()) usage += " \\fICOMMAND\\fR";
  for (const OptionEntry& argument : command.arguments) {
    const std::string name =
        fmt::format("\\fI{}\\fR{}", escaped(argument.names.front()), argument.repeats ? "..." : "");
    usage += argument.required ? " " + name : " [" + name + "]";
  }
  page.line("{}\n.PP\n{}.", usage, escaped(command.description));
  for (const OptionEntry& argument : command.arguments) {
    page.entry(fmt::format("\\fI{}\\fR", escaped(argument.names.front())), argument.description);
  }
  for (const OptionEntry& option : command.options) {
    if (option.names.back() != "--help") page.option(option);
  }
  page.paragraphs(command.footer, false);
}

void add_environment(Page& page, const std::vector<SettingRow>& settings) {
  page.line(
      ".SH ENVIRONMENT\n"
      "Options go over these variables, these over \\fIconfig.json\\fR, and that over the defaults. A setting has the "
      "name of\n"
      "its variable there, in lower case and without \\(lqescribano_\\(rq. \\fBescribano config\\fR says what is set, "
      "and where.");
  page.entry("\\fBESCRIBANO_HOME\\fR", "Where recordings, models and reports are kept (default: ~/.escribano)");
  page.entry("\\fBESCRIBANO_ASSETS\\fR",
             "The files that came with the program (default: ../share/escribano, from where it lies)");
  for (const SettingRow& row : settings) {
    if (row.variable.empty()) continue;
    const std::string fallback = row.value.empty() ? "None by default" : fmt::format("Default: {}", row.value);
    page.entry(fmt::format("\\fB{}\\fR", escaped(row.variable)), fallback);
  }
}

}  // namespace

std::string man_page(const CommandEntry& program, const ManPageFacts& facts) {
  Page page;
  page.line(".\\\" Made from the options of the program; a change belongs there.");
  page.line(".TH {} 1 {} \"{} {}\" \"User Commands\"", upper(program.name), facts.date, program.name, facts.version);
  page.line(".SH NAME\n{} \\- screen recordings to structured descriptions and summaries", program.name);
  page.line(".SH SYNOPSIS\n\\fB{}\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...", program.name);
  page.line(".SH DESCRIPTION");
  page.paragraphs(program.description, true);
  page.paragraphs(program.footer, false);
  page.line(".SH OPTIONS\nThe first one goes with every command, too.");
  for (const OptionEntry& option : program.options) page.option(option);
  page.line(".SH COMMANDS");
  for (const CommandEntry* command : all_commands(program)) {
    if (!command->path.empty()) add_command(page, *command, program.name);
  }
  page.line(".SH EXIT STATUS");
  page.entry("0", "Done");
  page.entry("1", "Failed; standard error says why");
  page.entry("2", "Wrong usage");
  page.entry("3", "Done, but some frames could not be described");
  page.entry("130", "Interrupted");
  add_environment(page, facts.settings);
  page.line(".SH FILES");
  page.entry("\\fI\\(ti/.escribano/config.json\\fR", "Settings");
  page.entry("\\fI\\(ti/.escribano/escribano.db\\fR", "What is known about recordings");
  page.entry("\\fI\\(ti/.escribano/reports\\fR, \\fImodels\\fR, \\fIcache\\fR",
             "Pages that were made, models, and what would have to be computed again without it");
  return page.take();
}

}  // namespace escribano::cli
