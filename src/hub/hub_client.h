#pragma once

// What all requests to a hub have in common: where it is, who asks, which redirects are followed, which failures pass.

#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "http/http.h"

namespace escribano::hub {

// How often and when a request that failed is made again.
struct RetryRule {
  int attempts = 6;                                // in all, without progress
  int attempts_to_reach = 3;                       // of the first questions: who has no network should soon hear so
  std::chrono::milliseconds first_wait{1000};      // doubled each time
  std::chrono::milliseconds longest_wait{30'000};  // of those
  std::chrono::milliseconds longest_asked{
      120'000};  // a server that asks for a longer wait (Retry-After) is not waited for
};

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;    // sent to the endpoint and to no other server; empty: none
  std::string ca_file;  // as HttpOptions::ca_file
  RetryRule retry;
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::milliseconds stall_timeout{60'000};
  std::chrono::milliseconds answer_timeout{120'000};  // of what is no file
  std::size_t max_answer_bytes = 8U << 20;            // of what is no file
};

// Not thread-safe.
class HubClient {
 public:
  // Fails with invalid_argument for an endpoint that is no http or https URL.
  static Result<HubClient> create(HubOptions options);

  const HubOptions& options() const noexcept { return options_; }
  // For sessions of others.
  static HttpOptions http_options(const HubOptions& options);
  // The endpoint followed by `path`.
  std::string url(std::string_view path) const { return base_ + std::string(path); }
  // The token where `url` belongs to the endpoint and nobody can listen in, or else nothing.
  std::string token_for(const std::string& url) const;

  // Where the answer `head` from `from` sends the request, after `hops` redirects before it. Fails with backend_error: a
  // circle, a way from https to http, no address.
  Result<HttpUrl> redirect(const std::string& from, const HttpHead& head, int hops) const;

  // How long to wait before asking again, once `failures` attempts have failed; or why there is no use in it. `what` is the
  // thing that was asked for, and begins the message; `attempts` how many there may be.
  Result<std::chrono::milliseconds> wait_after(const HttpOutcome& outcome, int failures, std::string_view what,
                                               int attempts) const;

  struct Answer {
    std::string body;
    std::string link;  // the header
  };
  // GETs `url`, again where that may help. Blocks. Fails as wait_after does, and with cancelled and deadline_exceeded.
  Result<Answer> get(const std::string& url, std::string_view what, const std::stop_token& stop);

 private:
  HubClient(HubOptions options, HttpSession session) : options_(std::move(options)), session_(std::move(session)) {}
  HubOptions options_;
  std::string base_;    // the endpoint without a slash at its end
  std::string origin_;  // HttpUrl::origin of it
  bool token_is_safe_ = false;
  HttpSession session_;  // of get()
};

bool is_redirect(int status);

}  // namespace escribano::hub
