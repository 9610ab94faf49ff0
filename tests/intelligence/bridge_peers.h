#pragma once

#include <vector>

#include "intelligence/peers.h"

namespace escribano {

// Bridges of both generations that are not ours, and ours with the demo model where it is built.
std::vector<PeerKind> bridge_peers();

}  // namespace escribano
