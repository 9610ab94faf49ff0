#pragma once

#include <string>

#include "cli/settings.h"
#include "hub/hub_client.h"
#include "hub/pull.h"

namespace escribano::cli {

// What the environment says about the hub: HF_ENDPOINT, HF_TOKEN (or the file HF_TOKEN_PATH, $HF_HOME/token or
// ~/.cache/huggingface/token), CURL_CA_BUNDLE, SSL_CERT_FILE. Fails with invalid_argument for a token that is none.
Result<hub::HubOptions> hub_options(const Environment& environment);
// HF_HUB_OFFLINE.
bool is_offline(const Environment& environment);

// One line that shows how far a pull is, `elapsed_s` after its first byte. Pure.
std::string pull_line(const hub::PullProgress& progress, double elapsed_s, int columns);

}  // namespace escribano::cli
