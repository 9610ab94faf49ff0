#include "pipeline/summary_notes.h"

#include <utility>

#include <fmt/format.h>

#include "pipeline/markdown.h"
#include "pipeline/times.h"

namespace escribano {

std::string artefact_title(const RecordingInfo& recording, ArtefactFormat format) {
  const std::string name = markdown_escaped(shortened(recording.path.stem().string(), 120));
  const char* kind = format == ArtefactFormat::standup     ? "Stand-up"
                     : format == ArtefactFormat::narrative ? "What happened"
                                                           : "Summary";
  std::string text = fmt::format("# {}{}{}\n\n", kind, name.empty() ? "" : ": ", name);
  text += fmt::format("{} of screen recording", duration_text(recording.duration_s));
  if (!recording.captured_at.empty()) text += fmt::format(", captured at {}", markdown_escaped(recording.captured_at));
  return text + ".\n\n";
}

void add_left_out_note(std::vector<std::string>& notes, const SummaryOptions& options) {
  if (options.left_out_apps.empty()) return;
  std::string apps;
  for (const std::string& app : options.left_out_apps) apps += (apps.empty() ? "" : ", ") + markdown_escaped(app);
  // Where such an app was never in front, no time is missing.
  const bool time = options.left_out_s >= 0.5;
  notes.push_back(
      fmt::format("Left out: {}{}.", time ? duration_text(options.left_out_s) + " in " : "what shows ", apps));
}

void append_notes(Artefact& artefact) {
  for (const std::string& note : artefact.notes) artefact.text += fmt::format("\n_{}_\n", note);
}

void add_note(Artefact& artefact, std::string note) {
  artefact.text += fmt::format("\n_{}_\n", note);
  artefact.notes.push_back(std::move(note));
}

}  // namespace escribano
