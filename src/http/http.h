#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace escribano {

struct HttpOptions {
  std::chrono::milliseconds connect_timeout{5000};
  // Without a byte in either direction for so long, a request has failed. A model that thinks in silence is busy, not
  // stalled, so this is minutes.
  std::chrono::milliseconds stall_timeout{300'000};
  std::size_t max_response_bytes = 64U << 20;
  // Certificates of the authorities that are trusted, PEM; empty: those that libcurl was built to trust.
  std::string ca_file;
  // Exchanges with one server share a connection where it speaks HTTP/2; otherwise each has its own.
  bool share_connections = true;

  std::vector<std::string> validate() const;
};

// A URL as the parts that decide what may be done with it.
struct HttpUrl {
  std::string text;    // as given
  std::string shown;   // for messages: without user, password, query and fragment
  std::string origin;  // "https://host:443": what credentials are meant for
  bool https = false;
  bool loopback = false;  // this machine: no proxy is asked
};
// Fails with invalid_argument for what is no http or https URL; the message does not repeat credentials.
Result<HttpUrl> parse_http_url(std::string_view text);
// Where `location`, which may be relative, leads from `base`. Fails as parse_http_url does.
Result<HttpUrl> joined_url(const std::string& base, const std::string& location);
// `text` as one part of a path: everything but letters, digits and -._~ is percent-encoded.
std::string escaped_path_part(std::string_view text);

// How an answer begins.
struct HttpHead {
  int status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case; of a repeated one the last

  // The header's value, or an empty text.
  std::string_view header(std::string_view name) const;
};

struct HttpRequest {
  std::string url;
  std::optional<std::string> body;  // JSON to POST; a GET without
  std::string bearer_token;         // for the Authorization header; never logged, never in a message
  // Gets what a 2xx answer consists of, as it arrives, on the thread that is in next(). A failure ends the request with
  // that error. Without it, and for every other answer, the bytes are in HttpOutcome::body.
  std::function<Status(std::string_view)> on_data;
  // Told how the answer begins, before on_data. A failure ends the request with that error.
  std::function<Status(const HttpHead&)> on_head;
  std::string accept = "application/json, application/x-ndjson, text/event-stream";
  std::string range;                              // "0-99": the bytes to ask for; empty: all
  std::optional<std::size_t> max_response_bytes;  // in place of that of HttpOptions
};

struct HttpOutcome {
  int status = 0;  // 0 where there was no answer
  std::string content_type;
  HttpHead head;
  std::string body;
  std::optional<Error> error;  // the exchange itself failed: backend_error, or what on_data said
  // What the failure says about the server. `answered`: it had begun to answer, so it is there. `transient`: asking
  // again may help (refused, reset, silent, timed out).
  bool answered = false;
  bool transient = false;
  bool untrusted = false;  // the server's certificate is not one to trust
};

// Any number of HTTP exchanges at once on one thread (HTTP/1.1 or 2 over libcurl). Certificates are checked, redirects
// are not followed, a proxy of the environment is used for other machines only. Looking up the name of another machine
// may hold a stopped call up for as long as the system's resolver takes. Not thread-safe; destroying it drops what runs.
class HttpSession {
 public:
  // Fails with internal where libcurl cannot be set up.
  static Result<HttpSession> open(const HttpOptions& options);
  HttpSession(HttpSession&&) noexcept;
  HttpSession& operator=(HttpSession&&) noexcept;
  ~HttpSession();

  // Begins an exchange. `id` is the caller's name for it. Fails with invalid_argument (the URL) or internal.
  Status start(std::size_t id, HttpRequest request);
  std::size_t in_flight() const noexcept;

  struct Finished {
    std::size_t id = 0;
    HttpOutcome outcome;
  };
  // Blocks until an exchange has ended (nullopt once `until` has passed). A request to stop fails it with cancelled at
  // once; what runs goes on in a later call, or is dropped with the session.
  Result<std::optional<Finished>> next(const std::stop_token& stop, std::chrono::steady_clock::time_point until);

 private:
  struct Impl;
  explicit HttpSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The library below, and its TLS: "libcurl 7.88.1 (OpenSSL/3.0.15)".
std::string http_library_version();

}  // namespace escribano
