#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "domain/recording.h"
#include "domain/store.h"

namespace escribano {

// A model and what it is called.
struct NamedService {
  std::shared_ptr<IntelligenceService> service;  // may be null where that is said
  std::string model;                             // empty: not known
};

// What writes texts; asked for when there is something to write. A null service: none is wanted.
using MakeWriter = std::function<Result<NamedService>()>;

struct ArtefactOptions {
  ArtefactFormat format = ArtefactFormat::card;
  std::vector<std::string> excluded_apps;
  bool keep = false;     // what is stored will do, whoever wrote it, if it was made from the same segments
  bool rewrite = false;  // written anew, whatever is stored
  std::stop_token stop;
  std::function<std::string()> now;  // time of day, UTC: "2026-01-31T12:00:00Z"
};

// The artefact of one format from the segments that are stored: the stored one if it was made from the same segments, with the
// same apps left out, else written and stored. A language model that fails costs only its text: the artefact is put together
// without one, says so, `on_note` (may be empty) is told, and the next time it is tried again. Fails with what the store fails
// with, with cancelled, and with invalid_argument where there are no segments yet. Blocks.
Result<Artefact> write_artefact(Store& store, const StoredRecording& recording, const MakeWriter& make_writer,
                                const ArtefactOptions& options, const std::function<void(const std::string&)>& on_note);

// The stored artefacts that were made from the segments that are stored now, with the same apps left out.
Result<std::vector<Artefact>> current_artefacts(Store& store, const StoredRecording& recording,
                                                const std::vector<std::string>& excluded_apps);

}  // namespace escribano
