#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "domain/intelligence_service.h"
#include "http/http.h"

namespace escribano {

class ChatWire;

// When a request that the network lost is sent again. An answer of the server, whatever its status, is never asked for
// again.
struct RetryPolicy {
  int retries = 3;  // after the first attempt
  // How long to wait before retry number 1, 2, ... Empty: 0.5 s, 1 s, 2 s, ... up to 8 s.
  std::function<std::chrono::milliseconds(int retry)> delay;

  std::chrono::milliseconds delay_before(int retry) const;
};

// What all kinds of model servers have in common.
struct ServerOptions {
  std::string url;    // http://127.0.0.1:11434; user and password in it are sent, and never shown
  std::string model;  // as the server names it
  int parallel = 1;   // requests at once in one call, 1 to 255
  std::uint64_t max_image_bytes = 64U << 20;
  HttpOptions http;
  RetryPolicy retry;

  std::vector<std::string> validate() const;
};

// The service that speaks to a server in the form of `wire`. Calls share nothing but the options: any number at once, from
// any threads.
std::unique_ptr<IntelligenceService> make_chat_service(ServerOptions options, std::unique_ptr<const ChatWire> wire);

}  // namespace escribano
