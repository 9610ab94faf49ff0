#include "pipeline/artefacts.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "pipeline/exclusion.h"
#include "pipeline/fingerprint.h"
#include "pipeline/names.h"
#include "pipeline/summary.h"

namespace escribano {
namespace {

// What an artefact is made from, but who wrote it.
std::string material_key(std::span<const Segment> segments, std::span<const std::string> excluded_apps) {
  std::vector<std::string> apps;
  apps.reserve(excluded_apps.size());
  for (const std::string& app : excluded_apps) apps.push_back(app_key(app));
  std::sort(apps.begin(), apps.end());
  Fingerprint without;
  for (const std::string& app : apps) without.add(app);
  return fmt::format("1 of={} without={} by=", fingerprint(segments), apps.empty() ? "none" : without.text());
}

constexpr std::string_view kByModel = "model";
constexpr std::string_view kByNobody = "nobody";    // no language model was wanted
constexpr std::string_view kByDefault = "default";  // it failed: to be tried again

std::optional<Artefact> stored_artefact(std::span<const Artefact> artefacts, ArtefactFormat format) {
  const auto found = std::find_if(artefacts.begin(), artefacts.end(),
                                  [&](const Artefact& artefact) { return artefact.format == format; });
  return found == artefacts.end() ? std::nullopt : std::optional(*found);
}

// Puts a sentence behind a digest, among its notes.
void add_note(Artefact& artefact, const std::string& sentence) {
  artefact.notes.push_back(sentence);
  artefact.text += "\n_" + sentence + "_\n";
}

}  // namespace

Result<Artefact> write_artefact(Store& store, const StoredRecording& recording, const MakeWriter& make_writer,
                                const ArtefactOptions& options,
                                const std::function<void(const std::string&)>& on_note) {
  const std::string& id = recording.info.id;
  ESCRIBANO_TRY(const std::vector<Segment> segments, store.segments(id));
  if (segments.empty()) {
    return fail(Errc::invalid_argument, "{} has no segments yet: 'escribano process' makes them",
                printable(recording.info.path));
  }
  ESCRIBANO_TRY(const std::vector<Artefact> artefacts, store.artefacts(id));
  const std::string material = material_key(segments, options.excluded_apps);
  std::optional<Artefact> stored = options.rewrite ? std::nullopt : stored_artefact(artefacts, options.format);
  if (stored && !stored->key.starts_with(material)) stored.reset();
  const std::string by = stored ? stored->key.substr(material.size()) : std::string();
  if (stored && (options.keep || by == kByModel)) return *std::move(stored);

  ESCRIBANO_TRY(const NamedService writer, make_writer());
  if (stored && by == kByNobody && writer.service == nullptr) return *std::move(stored);

  ESCRIBANO_TRY(const std::vector<Observation> observations, store.observations(id));
  const Shared shared = without_apps(observations, segments, options.excluded_apps);
  SummaryOptions summary;
  summary.format = options.format;
  summary.left_out_apps = shared.apps;
  summary.left_out_s = shared.left_out_s;
  summary.model = writer.model;
  summary.stop = options.stop;
  std::string made_by(writer.service ? kByModel : kByNobody);
  Result<Artefact> artefact = writer.service ? summarise(shared.segments, recording.info, *writer.service, summary)
                                             : digest(shared.segments, recording.info, summary);
  if (!artefact) {
    if (artefact.error().code == Errc::cancelled) return artefact;
    const std::string sentence = fmt::format("The language model could not write it: {}.", artefact.error().message);
    artefact = digest(shared.segments, recording.info, summary);
    add_note(*artefact, sentence);
    if (on_note) on_note(sentence);
    made_by = kByDefault;
  }
  artefact->key = material + made_by;
  ESCRIBANO_CHECK(store.save_artefacts(id, {&*artefact, 1}, options.now()));
  return artefact;
}

Result<std::vector<Artefact>> current_artefacts(Store& store, const StoredRecording& recording,
                                                const std::vector<std::string>& excluded_apps) {
  ESCRIBANO_TRY(const std::vector<Segment> segments, store.segments(recording.info.id));
  ESCRIBANO_TRY(std::vector<Artefact> artefacts, store.artefacts(recording.info.id));
  const std::string material = material_key(segments, excluded_apps);
  std::erase_if(artefacts, [&](const Artefact& artefact) { return !artefact.key.starts_with(material); });
  return artefacts;
}

}  // namespace escribano
