#include "pipeline/look.h"

#include <algorithm>
#include <array>

#include "pipeline/activity.h"
#include "pipeline/names.h"
#include "pipeline/subject.h"
#include "pipeline/words.h"

namespace escribano {
namespace {

constexpr double kNoticeable = 0.1;  // share of a segment's time
constexpr std::size_t kMostNames = 8;

std::string as_topic(std::string_view topic) { return words::single_spaced(topic); }

std::vector<NameId> ids(Names& names, const std::vector<std::string>& spellings) {
  std::vector<NameId> found;
  for (const std::string& spelling : spellings) {
    const NameId id = names.id(spelling);
    if (id != 0 && std::find(found.begin(), found.end(), id) == found.end()) found.push_back(id);
  }
  return found;
}

std::size_t activity_index(std::string_view activity) {
  const auto all = known_activities();
  const auto found = std::find(all.begin(), all.end(), normalised_activity(activity));
  return static_cast<std::size_t>(found - all.begin());
}

struct Use {
  NameId id = 0;
  double main_s = 0;  // as the front app
  double seen_s = 0;
};

// Longest first; among equals the one that was seen first.
std::vector<Use> ranked(const std::unordered_map<NameId, Use>& uses) {
  std::vector<Use> all;
  all.reserve(uses.size());
  for (const auto& [id, use] : uses) all.push_back(use);
  std::sort(all.begin(), all.end(), [](const Use& a, const Use& b) {
    if (a.main_s != b.main_s) return a.main_s > b.main_s;
    if (a.seen_s != b.seen_s) return a.seen_s > b.seen_s;
    return a.id < b.id;
  });
  return all;
}

struct Shares {
  std::array<double, 32> activities{};
  std::unordered_map<NameId, Use> apps;
  std::unordered_map<NameId, Use> topics;
  std::unordered_map<NameId, Use> projects;
  std::unordered_map<std::string_view, double> texts;
  double total_s = 0;
};

Shares shares_of(std::span<const Portion> portions) {
  Shares shares;
  const auto add = [](std::unordered_map<NameId, Use>& uses, NameId id, double main_s, double seen_s) {
    Use& use = uses[id];
    use.id = id;
    use.main_s += main_s;
    use.seen_s += seen_s;
  };
  for (const Portion& portion : portions) {
    const Look& look = *portion.look;
    shares.total_s += portion.seconds;
    shares.activities[look.activity] += portion.seconds;
    for (const NameId app : look.apps) {
      add(shares.apps, app, app == look.main_app() ? portion.seconds : 0, portion.seconds);
    }
    for (const NameId topic : look.topics) add(shares.topics, topic, 0, portion.seconds);
    if (look.project != 0) add(shares.projects, look.project, 0, portion.seconds);
    shares.texts[portion.observation->description] += portion.seconds;
  }
  return shares;
}

// How much of what the others say `portion` says too, 0 to 3.
double typicality(const Portion& portion, const Shares& shares) {
  double topics = 0;
  for (const NameId topic : portion.look->topics) topics += shares.topics.at(topic).seen_s;
  if (!portion.look->topics.empty()) topics /= static_cast<double>(portion.look->topics.size());
  const double project = portion.look->project == 0 ? 0 : shares.projects.at(portion.look->project).seen_s;
  return (shares.texts.at(portion.observation->description) + topics + project) / shares.total_s;
}

std::string typical_description(std::span<const Portion> portions, const Shares& shares, std::size_t activity,
                                NameId app) {
  // The most particular set that has a text: of this activity and app, of the activity, of the app, any.
  const auto belongs = [&](const Portion& portion, int rule) {
    const bool active = portion.look->activity == activity;
    const bool front = portion.look->main_app() == app;
    return rule == 0 ? active && front : rule == 1 ? active : rule == 2 ? front : true;
  };
  for (int rule = 0; rule < 4; ++rule) {
    const Portion* best = nullptr;
    double score = 0;
    for (const Portion& portion : portions) {
      if (!belongs(portion, rule) || words::trimmed(portion.observation->description).empty()) continue;
      const double own = typicality(portion, shares);
      if (best == nullptr || own > score + 1e-9) {
        best = &portion;
        score = own;
      }
    }
    if (best != nullptr) return words::single_spaced(best->observation->description);
  }
  return {};
}

}  // namespace

bool has_text(const Observation& o) noexcept {
  if (o.status != ObservationStatus::described && o.status != ObservationStatus::unchanged) return false;
  return !words::trimmed(o.description).empty() || !words::trimmed(o.activity).empty() || !o.apps.empty() ||
         !o.topics.empty();
}

NameId Names::id(const std::string& spelling) {
  if (const auto known = by_spelling_.find(spelling); known != by_spelling_.end()) return known->second;
  std::string key = key_(spelling);
  NameId id = 0;
  if (!key.empty()) {
    const auto [entry, added] = by_key_.emplace(std::move(key), static_cast<NameId>(names_.size() + 1));
    if (added) names_.push_back(shown_(spelling));
    id = entry->second;
  }
  by_spelling_.emplace(spelling, id);
  return id;
}

Looks::Looks() : apps_(app_key, app_name), topics_(topic_key, as_topic), projects_(topic_key, as_topic) {}

Look Looks::look(const Observation& observation) {
  Look look;
  const auto [known, added] = activities_.emplace(observation.activity, 0);
  if (added) known->second = activity_index(observation.activity);
  look.activity = known->second;
  look.apps = ids(apps_, observation.apps);
  look.topics = ids(topics_, observation.topics);
  look.project = projects_.id(std::string(project_in(observation.description)));
  return look;
}

Segment portrait(std::span<const Portion> portions, double start_s, double end_s, const Looks& names) {
  Segment segment{.start_s = start_s, .end_s = end_s};
  const Shares shares = shares_of(portions);
  std::size_t activity = known_activities().size() - 1;
  double most_s = 0;
  for (std::size_t i = 0; i < known_activities().size(); ++i) {
    if (shares.activities[i] > most_s) {
      most_s = shares.activities[i];
      activity = i;
    }
  }
  segment.activity = std::string(known_activities()[activity]);
  const std::vector<Use> apps = ranked(shares.apps);
  for (const Use& use : apps) {
    const bool counts = segment.apps.empty() || use.seen_s >= kNoticeable * shares.total_s;
    if (counts && segment.apps.size() < kMostNames) segment.apps.push_back(names.app(use.id));
  }
  for (const Use& use : ranked(shares.topics)) {
    const bool counts = segment.topics.empty() || use.seen_s >= kNoticeable * shares.total_s;
    if (counts && segment.topics.size() < kMostNames) segment.topics.push_back(names.topic(use.id));
  }
  segment.description = typical_description(portions, shares, activity, apps.empty() ? 0 : apps.front().id);
  return segment;
}

}  // namespace escribano
