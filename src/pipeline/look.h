#pragma once

// What observations say, as numbers that can be compared and added up. Private to this folder.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "domain/recording.h"

namespace escribano {

// Numbers of names begin at 1; 0 is none. Lower ones were seen earlier.
using NameId = std::uint32_t;

struct Look {
  std::size_t activity = 0;    // in known_activities()
  std::vector<NameId> apps;    // the front one first, each once
  std::vector<NameId> topics;  // each once
  NameId project = 0;

  NameId main_app() const noexcept { return apps.empty() ? 0 : apps.front(); }
};

// Whether an observation says anything.
bool has_text(const Observation& observation) noexcept;

// Spellings of one kind of name.
class Names {
 public:
  using Fold = std::string (*)(std::string_view);

  // `fold_key` says which spellings are one name, `spelling` how one is written.
  Names(Fold fold_key, Fold spelling) : key_(fold_key), shown_(spelling) {}
  NameId id(const std::string& spelling);                               // 0 where its key is empty
  const std::string& shown(NameId id) const { return names_[id - 1]; }  // as it was seen first

 private:
  Fold key_;
  Fold shown_;
  std::unordered_map<std::string, NameId> by_spelling_;
  std::unordered_map<std::string, NameId> by_key_;
  std::vector<std::string> names_;
};

// Gives looks; remembers the names in them.
class Looks {
 public:
  Looks();
  Look look(const Observation& observation);
  const std::string& app(NameId id) const { return apps_.shown(id); }
  const std::string& topic(NameId id) const { return topics_.shown(id); }

 private:
  Names apps_;
  Names topics_;
  Names projects_;
  std::unordered_map<std::string, std::size_t> activities_;
};

// An observation and the time that it stands for.
struct Portion {
  const Observation* observation = nullptr;
  const Look* look = nullptr;
  double seconds = 0;  // over 0
};

// The segment from `start_s` to `end_s` that `portions` (in order of time; may be empty) tell. Activity and main app
// are those of the most time. Apps and topics: those of at least a tenth of the time, and the first in any case; the
// description is that of a frame with this activity and app which says what most of the others say.
Segment portrait(std::span<const Portion> portions, double start_s, double end_s, const Looks& names);

}  // namespace escribano
