#pragma once

#include <span>
#include <string>
#include <string_view>

#include "report/report.h"

namespace escribano::report {

// Appends `text` so that it is text in an element and in a quoted attribute.
void append_escaped(std::string_view text, std::string& out);
std::string escaped(std::string_view text);

// The class that gives an activity its colour in report.css. Static storage; any text.
std::string_view activity_class(std::string_view activity) noexcept;

// Markdown as HTML: headings (from <h3> on), paragraphs, lists, tables, quotes, code, bold and italic. Everything else, HTML
// and links included, is shown as it stands. Any text; time and memory grow with its length only.
std::string rendered_markdown(std::string_view markdown);

// The parts of the page below. `shown` is what shown() gives.
//
// An SVG with a link for each segment, stripes where there is none, a mark for each frame, and a time axis.
std::string timeline_html(const Report& shown);
// A button for each activity of the segments, which filters: the legend.
std::string legend_html(const Report& shown);
// Bars of the time by activity and by main app.
std::string totals_html(const Report& shown);
// A card for each segment with its frames, then the frames outside of all. Segment 3 has the id "s3", frame 12 "f12".
std::string segments_html(const Report& shown, std::span<const Thumbnail> thumbnails);
// Why frames have no description.
std::string failures_html(const Report& shown);

}  // namespace escribano::report
