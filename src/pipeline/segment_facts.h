#pragma once

// What texts are made of: segments with what they are about, and how long things took. Private to this folder.

#include <span>
#include <string>
#include <vector>

#include "domain/recording.h"

namespace escribano {

// A segment in the terms of a summary. All texts are on one line and as the models said them: not escaped.
struct SegmentFacts {
  double start_s = 0;
  double end_s = 0;
  std::string activity;
  std::string app;       // the main one; empty where none was seen
  std::string project;   // that the description names; empty where it names none
  std::string subject;   // a few words: "Release checklist board"
  std::string sentence;  // the first one of the description
  std::vector<std::string> topics;
  bool seen = false;  // whether anything is known of it

  double seconds() const noexcept { return end_s - start_s; }
};

std::vector<SegmentFacts> facts_of(std::span<const Segment> segments);

struct TimeSpent {
  std::string name;
  double seconds = 0;
};

// How long each name was `of` a segment, the longest first and then as in the segments; the empty name is left out.
std::vector<TimeSpent> time_spent(std::span<const SegmentFacts> facts, std::string SegmentFacts::*of);

}  // namespace escribano
