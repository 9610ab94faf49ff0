#pragma once

// The peers that the contract of IntelligenceService is tested against. A new adapter, or a new server for an old one,
// gets the whole suite by one more entry in peers.cpp.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "domain/intelligence_service.h"

namespace escribano {

// A running server and the service that speaks to it.
class Peer {
 public:
  virtual ~Peer() = default;
  virtual IntelligenceService& service() = 0;
  // The server dies, as by a crash, and does not come back. The service stays.
  virtual void kill() = 0;
};

struct PeerKind {
  std::string name;            // letters and digits, for the names of the tests
  bool demo_model = false;     // it really sees: what it says is compared with the truth about the sample recording
  bool says_stats = true;      // what an answer took
  bool generates_text = true;  // otherwise it says plainly that it does not
  // Throws if it does not start. Called on the main thread.
  std::function<std::unique_ptr<Peer>()> start;
};

std::vector<PeerKind> peers();

}  // namespace escribano
