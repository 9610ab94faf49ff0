#pragma once

// What stands around the text of every artefact. Private to this folder.

#include <string>
#include <vector>

#include "domain/recording.h"
#include "pipeline/summary.h"

namespace escribano {

// The heading, and the line below it with length and date, followed by an empty line.
std::string artefact_title(const RecordingInfo& recording, ArtefactFormat format);
void add_left_out_note(std::vector<std::string>& notes, const SummaryOptions& options);
// Writes the notes at the end of the text.
void append_notes(Artefact& artefact);
// One more, to both.
void add_note(Artefact& artefact, std::string note);

}  // namespace escribano
