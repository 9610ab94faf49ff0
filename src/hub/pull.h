#pragma once

// From a name on the hub to a folder of files that are what the hub says they are.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "hub/hub_client.h"
#include "hub/hub_name.h"

namespace escribano::hub {

struct PullOptions {
  HubOptions hub;
  bool offline = false;                     // nothing is asked; what is on this machine will do or nothing
  std::filesystem::path home;               // $ESCRIBANO_HOME: the files go to home/models/ORG/NAME
  std::filesystem::path hf_hub;             // the Hugging Face cache, which is used in place; empty: none
  int connections = 6;                      // at once
  std::uint64_t segment_bytes = 16U << 20;  // of a file that is asked for in one request
};

struct PullProgress {
  enum class Stage {
    listing,      // the hub is asked what there is
    downloading,  // files arrive
    checking,     // their hashes are computed
  };
  Stage stage = Stage::listing;
  std::uint64_t done_bytes = 0;  // of this stage, from earlier runs included
  std::uint64_t total_bytes = 0;
  std::uint64_t fresh_bytes = 0;  // of those, what this run downloaded
};
// Called on the thread that pulls, at least ten times a second while something arrives.
using PullProgressCallback = std::function<void(const PullProgress&)>;

struct Pulled {
  enum class How {
    downloaded,
    up_to_date,  // was there
    in_cache,    // is in the Hugging Face cache, and stays there
  };
  How how = How::downloaded;
  std::filesystem::path folder;
  std::string commit;
  std::size_t files = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t fresh_bytes = 0;  // downloaded in this run
  std::string replaced;           // the commit that was in the folder before: "org/name@commit"; empty where none was
};

// Pulls `name` into home/models/ORG/NAME. The files arrive in home/models/ORG/.NAME.part and take their place in one step, once
// all of them are there and have the hashes that the hub lists; a folder pulled before is replaced as a whole, and lends
// those of its files that have not changed. Of the same commit, GGUF files with other labels are taken along. Whatever ends it, the next pull of the same goes on from there, and nothing is
// ever written outside these two folders. Files that a user put into a pulled folder stay in it.
//
// Fails with not_permitted (401, 403, a home that cannot be written), not_found (no such model, revision or usable file),
// overloaded (429), backend_error (the network, a server that fails or sends nonsense), protocol_error (names or lengths that
// cannot be), too_large, corrupt (a file with another hash; it is deleted), io_error (disk full, too little space, found before
// anything is downloaded), already_running (someone else pulls it), invalid_argument (no label chosen, a folder of that name
// that was not pulled) and cancelled. Blocks.
Result<Pulled> pull(const HubName& name, const PullOptions& options, const PullProgressCallback& progress,
                    const std::stop_token& stop);

}  // namespace escribano::hub
