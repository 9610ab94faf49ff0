#include "intelligence/chat_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace escribano {
namespace {

// Answers that hold for every request of a call: no permission, no such model or address.
bool ends_the_call(int status) noexcept { return status == 401 || status == 403 || status == 404; }

// What a server says that does not know a field, or not that value of it.
bool dislikes_the_request(int status) noexcept { return status == 400 || status == 422; }

}  // namespace

Result<ChatExchange> ChatExchange::open(const ChatWire& wire, const ServerOptions& options) {
  ESCRIBANO_TRY(HttpSession session, HttpSession::open(options.http));
  return ChatExchange(wire, options, std::move(session));
}

Status ChatExchange::ask(std::size_t id, ChatRequest chat) {
  asked_[id] = {.chat = std::move(chat)};
  return send(id);
}

Status ChatExchange::send(std::size_t id) {
  Asked& asked = asked_.at(id);
  asked.reader = wire_->reader();
  HttpRequest request = wire_->request(asked.chat);
  request.on_data = [reader = asked.reader.get()](std::string_view bytes) { return reader->feed(bytes); };
  return session_.start(id, std::move(request));
}

Status ChatExchange::send_what_is_due() {
  while (!due_.empty() && due_.begin()->first <= Clock::now()) {
    const std::size_t id = due_.begin()->second;
    due_.erase(due_.begin());
    ESCRIBANO_CHECK(send(id));
  }
  return {};
}

Result<std::optional<ChatExchange::Answered>> ChatExchange::judge_refusal(std::size_t id, const HttpOutcome& outcome) {
  Error error = wire_->refusal(outcome.status, outcome.body);
  if (ends_the_call(outcome.status)) return fail(std::move(error));
  Asked& asked = asked_.at(id);
  if (dislikes_the_request(outcome.status) && error.code != Errc::context_full && !asked.chat.plain) {
    asked.chat.plain = true;
    ESCRIBANO_CHECK(send(id));
    return std::optional<Answered>();
  }
  asked_.erase(id);
  return Answered{id, fail(std::move(error))};
}

Result<std::optional<ChatExchange::Answered>> ChatExchange::judge(std::size_t id, HttpOutcome outcome) {
  Asked& asked = asked_.at(id);
  if (outcome.error && !outcome.answered) {
    if (!outcome.transient || asked.retries >= options_->retry.retries) return fail(*std::move(outcome.error));
    ++asked.retries;
    due_.emplace(Clock::now() + options_->retry.delay_before(asked.retries), id);
    return std::optional<Answered>();
  }
  if (!outcome.error && (outcome.status < 200 || outcome.status >= 300)) return judge_refusal(id, outcome);
  Answered answered{id, outcome.error ? Result<ChatAnswer>(fail(*std::move(outcome.error))) : asked.reader->finish()};
  if (answered.answer && asked.chat.plain) wire_->learn_plain();
  asked_.erase(id);
  return answered;
}

Result<ChatExchange::Answered> ChatExchange::next(const std::stop_token& stop, Clock::time_point deadline) {
  for (;;) {
    ESCRIBANO_CHECK(send_what_is_due());
    const Clock::time_point until = due_.empty() ? deadline : std::min(deadline, due_.begin()->first);
    ESCRIBANO_TRY(auto finished, session_.next(stop, until));
    if (finished) {
      ESCRIBANO_TRY(auto answered, judge(finished->id, std::move(finished->outcome)));
      if (answered) return *std::move(answered);
    }
    if (Clock::now() >= deadline) return fail(Errc::deadline_exceeded, "the time limit of the call has passed");
  }
}

}  // namespace escribano
