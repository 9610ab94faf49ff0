#pragma once

#include <span>
#include <string>
#include <vector>

#include "domain/recording.h"
#include "domain/store.h"

namespace escribano {

// Everything a report shows. Segments and observations are in order of time; there may be gaps, and frames missing, where apps are
// left out. Any of the texts may hold anything: they came from a model. Two spellings of an app or topic are two names here:
// pipeline/names.h makes them one before.
struct Report {
  StoredRecording recording;  // its counts are shown as they are, so they may count frames that are left out
  std::vector<Segment> segments;
  std::vector<Observation> observations;
  std::vector<Thumbnail> thumbnails;  // those of frames that are not among the observations are not shown
  std::vector<Artefact> artefacts;    // in the order in which they are offered
  std::vector<std::string> left_out_apps;
  std::string program;  // "escribano 0.1.0"
};

// One HTML page that needs nothing else: no network, no other file, no script to be read. Valid UTF-8. Pure. Its size is that of the
// thumbnails times 4/3, once more for one of each segment, and about 1 KB a frame.
std::string to_html(const Report& report);
// The stable interface of docs/report.md ("schema": 1), with a line break at the end. Pure.
std::string to_json(const Report& report);
// Timeline, totals and observations as Markdown: what a wiki or an issue takes. Valid UTF-8. Pure.
std::string to_markdown(const Report& report);
// One subtitle for each stretch of observations with the same text (SubRip); empty without any. Valid UTF-8. Pure.
std::string to_srt(const Report& report);

}  // namespace escribano
