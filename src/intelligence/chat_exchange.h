#pragma once

// Requests to a model server, several at once, each asked again where the network failed. Private to this folder.

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>

#include "base/error.h"
#include "http/http.h"
#include "intelligence/chat.h"
#include "intelligence/chat_service.h"

namespace escribano {

// Not thread-safe; what runs is dropped with it.
class ChatExchange {
 public:
  using Clock = std::chrono::steady_clock;

  static Result<ChatExchange> open(const ChatWire& wire, const ServerOptions& options);

  // Asks; next() gives the answer under `id`. Fails with invalid_argument or internal.
  Status ask(std::size_t id, ChatRequest chat);
  std::size_t open_requests() const noexcept { return asked_.size(); }

  struct Answered {
    std::size_t id = 0;
    Result<ChatAnswer> answer;  // backend_error, protocol_error, context_full: this request alone has failed
  };
  // Blocks until one request is answered. Fails with cancelled, deadline_exceeded, or backend_error: the server gave no
  // answer, not even after retries, or an answer that holds for every request (no such model, no permission).
  Result<Answered> next(const std::stop_token& stop, Clock::time_point deadline);

 private:
  struct Asked {
    ChatRequest chat;
    std::unique_ptr<ChatReader> reader;
    int retries = 0;
  };

  ChatExchange(const ChatWire& wire, const ServerOptions& options, HttpSession session)
      : wire_(&wire), options_(&options), session_(std::move(session)) {}
  Status send(std::size_t id);
  Status send_what_is_due();
  // The answer, an error of this request, or nothing where it is asked again. Fails where the call ends.
  Result<std::optional<Answered>> judge(std::size_t id, HttpOutcome outcome);
  Result<std::optional<Answered>> judge_refusal(std::size_t id, const HttpOutcome& outcome);

  const ChatWire* wire_;
  const ServerOptions* options_;
  HttpSession session_;
  std::map<std::size_t, Asked> asked_;
  std::multimap<Clock::time_point, std::size_t> due_;  // to be asked again then
};

}  // namespace escribano
