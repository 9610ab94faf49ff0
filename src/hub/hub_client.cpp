#include "hub/hub_client.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <mutex>

#include <fmt/format.h>

namespace escribano::hub {
namespace {

using std::chrono::milliseconds;

constexpr int kMaxRedirects = 10;

// A number of seconds. The other form, a date, is what no hub sends; the ordinary wait does for it.
std::optional<milliseconds> retry_after(const HttpHead& head) {
  const std::string_view text = head.header("retry-after");
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  // Too many digits for a number are a long time all the same.
  if (error == std::errc::result_out_of_range) return std::chrono::hours(24 * 365);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

Error refusal(const HttpOutcome& outcome, std::string_view what, bool has_token) {
  switch (outcome.status) {
    case 401:
      if (has_token)
        return {Errc::not_permitted, fmt::format("{}: the hub does not accept the token in HF_TOKEN (401)", what)};
      return {Errc::not_permitted,
              fmt::format(
                  "{}: the hub says 401: there is no such model, or it is private or gated; set HF_TOKEN to a token "
                  "that may read it",
                  what)};
    case 403:
      return {Errc::not_permitted,
              fmt::format("{}: the hub says 403: access to this model has to be asked for on its page{}", what,
                          has_token ? ", for the owner of the token in HF_TOKEN" : "; then set HF_TOKEN")};
    case 404: return {Errc::not_found, fmt::format("{}: the hub knows no such thing (404)", what)};
    case 429: return {Errc::overloaded, fmt::format("{}: the hub was asked too often (429); try again later", what)};
    default: return {Errc::backend_error, fmt::format("{}: the server answered with status {}", what, outcome.status)};
  }
}

// False where it was stopped.
bool wait_for(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any over;
  std::unique_lock lock(mutex);
  over.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Result<HubClient> HubClient::create(HubOptions options) {
  ESCRIBANO_TRY(HttpSession session, HttpSession::open(http_options(options)));
  HubClient client(std::move(options), std::move(session));
  client.base_ = client.options_.endpoint;
  while (client.base_.ends_with('/')) client.base_.pop_back();
  auto url = parse_http_url(client.base_);
  if (!url) return fail(Errc::invalid_argument, "HF_ENDPOINT is no address of a hub such as https://huggingface.co");
  client.origin_ = url->origin;
  client.token_is_safe_ = url->https || url->loopback;
  return client;
}

HttpOptions HubClient::http_options(const HubOptions& options) {
  return {.connect_timeout = options.connect_timeout,
          .stall_timeout = options.stall_timeout,
          .max_response_bytes = options.max_answer_bytes,
          .ca_file = options.ca_file,
          .share_connections = false};
}

std::string HubClient::token_for(const std::string& url) const {
  const auto parsed = parse_http_url(url);
  return token_is_safe_ && parsed && parsed->origin == origin_ ? options_.token : std::string();
}

Result<HttpUrl> HubClient::redirect(const std::string& from, const HttpHead& head, int hops) const {
  ESCRIBANO_TRY(const HttpUrl before, parse_http_url(from));
  if (hops >= kMaxRedirects) {
    return fail(Errc::backend_error, "{}: redirected more than {} times; the servers send the request in a circle",
                before.shown, kMaxRedirects);
  }
  const std::string_view location = head.header("location");
  auto target = location.empty() ? fail(Errc::backend_error, "") : joined_url(from, std::string(location));
  if (!target) return fail(Errc::backend_error, "{}: redirected to what is no http or https address", before.shown);
  if (before.https && !target->https) {
    return fail(Errc::backend_error, "{}: redirected from https to http ({}), which is not followed", before.shown,
                target->shown);
  }
  return target;
}

Result<milliseconds> HubClient::wait_after(const HttpOutcome& outcome, int failures, std::string_view what,
                                           int attempts) const {
  const RetryRule& rule = options_.retry;
  Error error;
  bool may_pass = false;
  if (outcome.error) {
    error = *outcome.error;
    may_pass = outcome.transient;
    if (outcome.untrusted) {
      error.message += "; SSL_CERT_FILE names the certificates that are trusted";
    }
  } else {
    error = refusal(outcome, what, !options_.token.empty());
    may_pass = outcome.status == 408 || outcome.status == 429 || outcome.status >= 500;
  }
  if (!may_pass) return fail(std::move(error));
  if (failures >= attempts) {
    return fail(error.code, "{} (tried {} times)", error.message, failures);
  }
  const int doublings = std::clamp(failures - 1, 0, 20);
  const milliseconds wait = std::min(rule.longest_wait, rule.first_wait * (1 << doublings));
  const milliseconds asked = outcome.error ? milliseconds(0) : retry_after(outcome.head).value_or(milliseconds(0));
  if (asked > rule.longest_asked) {
    return fail(error.code, "{}; it asks to be left alone for {} s", error.message,
                std::chrono::duration_cast<std::chrono::seconds>(asked).count());
  }
  return std::max(wait, asked);
}

Result<HubClient::Answer> HubClient::get(const std::string& url, std::string_view what, const std::stop_token& stop) {
  std::string at = url;
  int failures = 0;
  for (int hops = 0;;) {
    ESCRIBANO_CHECK(session_.start(0, {.url = at, .bearer_token = token_for(at), .accept = "application/json"}));
    ESCRIBANO_TRY(auto finished, session_.next(stop, std::chrono::steady_clock::now() + options_.answer_timeout));
    if (!finished) {
      return fail(Errc::deadline_exceeded, "{}: the hub's answer was not complete after {} s", what,
                  std::chrono::duration_cast<std::chrono::seconds>(options_.answer_timeout).count());
    }
    HttpOutcome& outcome = finished->outcome;
    if (!outcome.error && outcome.status >= 200 && outcome.status < 300) {
      return Answer{std::move(outcome.body), std::string(outcome.head.header("link"))};
    }
    if (!outcome.error && is_redirect(outcome.status)) {
      ESCRIBANO_TRY(const HttpUrl next, redirect(at, outcome.head, hops++));
      at = next.text;
      continue;
    }
    const int attempts = outcome.error ? options_.retry.attempts_to_reach : options_.retry.attempts;
    ESCRIBANO_TRY(const milliseconds wait, wait_after(outcome, ++failures, what, attempts));
    if (!wait_for(wait, stop)) return fail(Errc::cancelled, "cancelled");
    at = url;
    hops = 0;
  }
}

}  // namespace escribano::hub
