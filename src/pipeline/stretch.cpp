#include "pipeline/stretch.h"

#include <algorithm>
#include <utility>

namespace escribano {
namespace {

constexpr double kNoticeable = 0.1;
constexpr double kSteady = 0.6;  // share of a stretch in which what it is about is said
constexpr double kSameTopics = 0.5;

constexpr std::uint64_t key_of(Stretch::Kind kind, NameId id) noexcept {
  return (static_cast<std::uint64_t>(kind) << 32) | id;
}
constexpr Stretch::Kind kind_of(std::uint64_t key) noexcept { return static_cast<Stretch::Kind>(key >> 32); }

}  // namespace

Stretch::Stretch(const Look& look, double seconds) : seconds_(seconds) {
  add(activity, static_cast<NameId>(look.activity + 1), seconds);
  if (look.main_app() != 0) add(main_app, look.main_app(), seconds);
  for (const NameId id : look.apps) add(app, id, seconds);
  for (const NameId id : look.topics) add(topic, id, seconds);
  if (look.project != 0) add(project, look.project, seconds);
}

void Stretch::add(Kind kind, NameId id, double seconds) {
  double& sum = said_[key_of(kind, id)];
  sum += seconds;
  total_s_[kind] += seconds;
  Best& best = best_[kind];
  if (sum > best.seconds || (sum == best.seconds && id < best.id)) best = {id, sum};
}

double Stretch::of(std::uint64_t key) const noexcept {
  const auto found = said_.find(key);
  return found == said_.end() ? 0 : found->second;
}

void Stretch::join(Stretch&& other) {
  if (other.said_.size() > said_.size()) {
    std::swap(said_, other.said_);
    std::swap(best_, other.best_);
    std::swap(total_s_, other.total_s_);
  }
  for (const auto& [key, seconds] : other.said_) add(kind_of(key), static_cast<NameId>(key & 0xFFFFFFFF), seconds);
  seconds_ += other.seconds_;
  looks_ += other.looks_;
}

double Stretch::covered(const Stretch& a, const Stretch& b, Kind kind) {
  const Stretch& small = a.said_.size() <= b.said_.size() ? a : b;
  const Stretch& large = &small == &a ? b : a;
  if (small.total_s_[kind] <= 0) return 0;
  double shared = 0;
  for (const auto& [key, seconds] : small.said_) {
    if (kind_of(key) == kind && large.of(key) >= kNoticeable * large.seconds_) shared += seconds;
  }
  return shared / small.total_s_[kind];
}

double Stretch::overlap(const Stretch& a, const Stretch& b, Kind kind) {
  const Stretch& small = a.said_.size() <= b.said_.size() ? a : b;
  const Stretch& large = &small == &a ? b : a;
  double shared = 0;
  for (const auto& [key, seconds] : small.said_) {
    if (kind_of(key) == kind) shared += std::min(seconds / small.seconds_, large.of(key) / large.seconds_);
  }
  return shared;
}

bool Stretch::settled(Kind kind, double settled_s) const noexcept {
  if (settled_s <= 0) return true;
  return looks_ > 1 && seconds_ >= settled_s && best_[kind].seconds >= kSteady * seconds_;
}

double similarity(const Stretch& a, const Stretch& b) {
  return 4 * Stretch::overlap(a, b, Stretch::activity) + 3 * Stretch::overlap(a, b, Stretch::main_app) +
         Stretch::covered(a, b, Stretch::app) + 2 * Stretch::covered(a, b, Stretch::topic) +
         3 * Stretch::covered(a, b, Stretch::project);
}

bool same_work(const Stretch& a, const Stretch& b, double settled_s) {
  if (a.best_[Stretch::activity].id != b.best_[Stretch::activity].id) return false;
  const NameId app_a = a.best_[Stretch::main_app].id;
  const NameId app_b = b.best_[Stretch::main_app].id;
  if (app_a != 0 && app_b != 0 && app_a != app_b) return false;
  const auto both = [&](Stretch::Kind kind) { return a.total_s_[kind] > 0 && b.total_s_[kind] > 0; };
  const auto steady = [&](Stretch::Kind kind) { return a.settled(kind, settled_s) && b.settled(kind, settled_s); };
  if (both(Stretch::project)) {
    if (a.best_[Stretch::project].id == b.best_[Stretch::project].id) return true;
    return Stretch::covered(a, b, Stretch::topic) >= kSameTopics || !steady(Stretch::project);
  }
  if (!both(Stretch::topic) || Stretch::covered(a, b, Stretch::topic) > 0) return true;
  return !steady(Stretch::topic);
}

}  // namespace escribano
