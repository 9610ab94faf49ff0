#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/base64.h"
#include "report/html_parts.h"
#include "report/json.h"
#include "report/page_template.h"
#include "report/report.h"
#include "report/text.h"

namespace escribano {
namespace report {

void append_escaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
}

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  append_escaped(text, out);
  return out;
}

}  // namespace report

namespace {

using report::escaped;

// 'sha256-...' of Content-Security-Policy, from hexadecimal digits.
std::string policy_hash(std::string_view hex) {
  const auto digit = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  std::string out = "'sha256-";
  return out + to_base64(bytes) + "'";
}

std::string policy() {
  const report::PageTemplate& page = report::page_template();
  return fmt::format(
      "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'; "
      "require-trusted-types-for 'script'; trusted-types 'none'",
      policy_hash(page.css_sha256), policy_hash(page.script_sha256));
}

std::string facts(const Report& shown) {
  const RecordingInfo& info = shown.recording.info;
  std::string out;
  const auto add = [&](const std::string& text) { out += fmt::format("<li><bdi>{}</bdi></li>", escaped(text)); };
  if (!info.captured_at.empty()) add(report::date_text(info.captured_at));
  if (info.width_px > 0 && info.height_px > 0) add(fmt::format("{} \xC3\x97 {}", info.width_px, info.height_px));
  if (!info.codec.empty()) add(info.codec);
  return out;
}

std::string figures(const Report& shown) {
  const StoredRecording& recording = shown.recording;
  std::string out;
  const auto add = [&](std::string_view name, const std::string& value, std::string_view css_class) {
    fmt::format_to(std::back_inserter(out), R"(<div class="figure {}"><dt>{}</dt><dd>{}</dd></div>)", css_class, name,
                   value);
  };
  add("Length", report::length_text(recording.info.duration_s), "");
  add("Segments", std::to_string(shown.segments.size()), "");
  add("Frames", std::to_string(recording.frames), "");
  add("Described", std::to_string(recording.described), "");
  add("Unchanged", std::to_string(recording.unchanged), "");
  add("Failed", std::to_string(recording.failed), recording.failed > 0 ? "bad" : "");
  const std::size_t done = recording.described + recording.unchanged + recording.failed;
  if (done < recording.frames) add("Not yet described", std::to_string(recording.frames - done), "bad");
  return out;
}

std::string notices(const Report& shown) {
  std::string out;
  const auto add = [&](std::string_view kind, const std::string& text) {
    out += fmt::format(R"(<li class="{}" dir="auto">{}</li>)", kind, escaped(text));
  };
  if (shown.recording.state != RecordingState::summarised) {
    add("unfinished", fmt::format("The run is not finished: the recording is {}. What is there is shown.",
                                  recording_state_name(shown.recording.state)));
  }
  for (const std::string& warning : shown.recording.warnings) add("warning", warning);
  if (!shown.left_out_apps.empty()) {
    add("left-out",
        fmt::format("Left out on request, with their frames and time: {}.", report::joined(shown.left_out_apps)));
  }
  return out.empty() ? out : R"(<ul class="notices" id="notices">)" + out + "</ul>";
}

std::string_view artefact_title(ArtefactFormat format) {
  switch (format) {
    case ArtefactFormat::card: return "Card";
    case ArtefactFormat::standup: return "Stand-up";
    case ArtefactFormat::narrative: return "Narrative";
  }
  return "Summary";
}

std::string artefacts(const Report& shown) {
  std::string out;
  for (std::size_t i = 0; i < shown.artefacts.size(); ++i) {
    const Artefact& artefact = shown.artefacts[i];
    fmt::format_to(
        std::back_inserter(out),
        R"(<div class="artefact" id="artefact-{0}" data-artefact="{0}"><h3 class="form">{1}</h3><div class="prose" dir="auto">)",
        i, artefact_title(artefact.format));
    out += report::rendered_markdown(artefact.text);
    out += "</div>";
    // A text that no language model wrote says so itself.
    if (!artefact.model.empty()) {
      out += fmt::format(R"(<p class="by">Written by <bdi>{}</bdi> from the segments.</p>)", escaped(artefact.model));
    }
    out += "</div>";
  }
  return out.empty() ? R"(<p class="empty">There is no summary yet.</p>)" : out;
}

// Fills {{name}} in one pass: what is filled in is not looked at again, so a text with braces in it stays one.
std::string filled(std::string_view form, const std::map<std::string_view, std::string, std::less<>>& values) {
  std::string out;
  std::size_t size = form.size();
  for (const auto& [name, value] : values) size += value.size();
  out.reserve(size);
  while (true) {
    const std::size_t open = form.find("{{");
    const std::size_t close = open == std::string_view::npos ? open : form.find("}}", open);
    if (close == std::string_view::npos) break;
    out += form.substr(0, open);
    if (const auto value = values.find(form.substr(open + 2, close - open - 2)); value != values.end())
      out += value->second;
    form.remove_prefix(close + 2);
  }
  return out.append(form);
}

}  // namespace

std::string to_html(const Report& report) {
  const Report shown = report::shown(report);
  const report::PageTemplate& page = report::page_template();
  const RecordingInfo& info = shown.recording.info;
  return filled(page.html, {{"policy", policy()},
                            {"program", escaped(shown.program)},
                            {"name", escaped(report::recording_name(info))},
                            {"css", std::string(page.css)},
                            {"script", std::string(page.script)},
                            {"facts", facts(shown)},
                            {"figures", figures(shown)},
                            {"notices", notices(shown)},
                            {"artefacts", artefacts(shown)},
                            {"timeline", report::timeline_html(shown)},
                            {"legend", report::legend_html(shown)},
                            {"totals", report::totals_html(shown)},
                            {"segments", report::segments_html(shown, report.thumbnails)},
                            {"failures", report::failures_html(shown)},
                            {"path", escaped(info.path.native())},
                            {"id", escaped(info.id)},
                            {"data", report::page_data(shown)}});
}

}  // namespace escribano
