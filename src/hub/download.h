#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/hub_client.h"
#include "hub/segment_journal.h"
#include "hub/selection.h"

namespace escribano::hub {

// A file on its way.
struct Download {
  PullFile file;
  std::string url;
  SegmentJournal journal;
};

// Brings all files to their end: segments of several files at once, `connections` in all, each written as it arrives. A server
// that ignores ranges is read from the beginning, one file in one piece. Failures that may pass are tried again. `progress` is
// called at least ten times a second, and after what has arrived, with the bytes that are there of all files.
//
// Fails with cancelled, protocol_error (a server whose lengths are not those of the listing), io_error (disk full) and as
// HubClient::wait_after does. What arrived stays, and is not asked for again. Blocks.
Status download(const HubClient& hub, std::vector<Download>& files, int connections,
                const std::function<void(std::uint64_t done_bytes)>& progress, const std::stop_token& stop);

}  // namespace escribano::hub
