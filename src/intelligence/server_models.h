#pragma once

// What a model server has to offer, without asking it to do anything.

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano {

struct ServerModels {
  std::string shown;               // the address asked, without credentials
  int http_status = 200;           // anything else: the server is there and does not say
  std::vector<std::string> names;  // as they would be asked for

  // Whether there is one of that name. Ollama's ":latest" need not be written.
  bool has(std::string_view name) const;
};

// The models of an Ollama server (/api/tags), and of one that speaks /v1/chat/completions (/v1/models; the address with
// or without /v1). Fail with invalid_argument (the URL), backend_error (nobody answers), deadline_exceeded, and
// protocol_error where a 200 answer is no such list. Block, `deadline` at most.
Result<ServerModels> list_ollama_models(const std::string& url, std::chrono::milliseconds deadline);
Result<ServerModels> list_openai_models(const std::string& url, const std::string& api_key,
                                        std::chrono::milliseconds deadline);

}  // namespace escribano
