#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "domain/recording.h"

namespace escribano {

struct SummaryOptions {
  ArtefactFormat format = ArtefactFormat::card;
  std::vector<std::string> left_out_apps;  // what without_apps() found: the text says so
  double left_out_s = 0;
  std::size_t max_prompt_bytes = 24'000;  // longer recordings are folded in parts that fit
  int max_tokens = 2000;                  // of one answer
  std::string model;                      // name of the LLM, for Artefact::model
  std::chrono::milliseconds deadline{0};  // of one call
  std::stop_token stop;
};

// The artefact that segments alone give: complete, the same every time, and saying that no language model wrote it. Pure.
Artefact digest(std::span<const Segment> segments, const RecordingInfo& recording, const SummaryOptions& options);

// The artefact as `llm` writes it. Only what the segments say may be said: a sentence or list item with a name, number
// or duration that they do not have is removed, and a note says how many were. Where nothing useful is left, or the LLM
// answers nothing, it is the digest with a note that says why. A prompt that does not fit the model is split further.
// Fails with what `llm` fails with (bridge_unavailable, backend_error, cancelled, ...). Blocks.
Result<Artefact> summarise(std::span<const Segment> segments, const RecordingInfo& recording, IntelligenceService& llm,
                           const SummaryOptions& options);

}  // namespace escribano
