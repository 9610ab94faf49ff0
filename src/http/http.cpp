#include "http/http.h"

#include <algorithm>
#include <csignal>
#include <deque>
#include <map>
#include <utility>

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>

namespace escribano {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct UrlCloser {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
struct EasyCloser {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
struct MultiCloser {
  void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
struct ListCloser {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using Easy = std::unique_ptr<CURL, EasyCloser>;
using Headers = std::unique_ptr<curl_slist, ListCloser>;

bool curl_is_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

std::string url_part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK || text == nullptr) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

bool names_this_machine(std::string host) {
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]" ||
         host == "::1";
}

// A TLS library writes to a socket that the peer has closed without asking for the signal to be left out. It is kept from
// this thread alone, so that nothing of the process changes.
class SigpipeBlocked {
 public:
  SigpipeBlocked() {
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&sigpipe_);
    sigaddset(&sigpipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;
  ~SigpipeBlocked() {
    sigset_t pending;
    sigpending(&pending);
    int signal = 0;
    if (!was_pending_ && sigismember(&pending, SIGPIPE) == 1) sigwait(&sigpipe_, &signal);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  bool was_pending_ = false;
  sigset_t sigpipe_{};
  sigset_t before_{};
};

bool is_transient(CURLcode code) noexcept {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE: return true;
    default: return false;
  }
}

// One exchange. Its address is known to libcurl, so it does not move.
struct Transfer {
  std::size_t id = 0;
  HttpRequest request;
  std::string shown;
  std::size_t max_response_bytes = 0;
  Easy easy;
  Headers headers;
  HttpOutcome outcome;
  std::size_t received = 0;
  std::size_t header_bytes = 0;
  curl_off_t moved = 0;  // bytes in both directions
  Clock::time_point active = Clock::now();
  char reason[CURL_ERROR_SIZE] = {};

  explicit Transfer(HttpRequest r) : request(std::move(r)) {}
};

// Of one answer, all redirects and informational ones before it included.
constexpr std::size_t kMaxHeaderBytes = 256U << 10;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// One line of the head. False where the exchange is to end.
bool take_header(Transfer& transfer, std::string_view line) {
  HttpHead& head = transfer.outcome.head;
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.outcome.error =
        Error{Errc::backend_error,
              fmt::format("{}: the head of the answer is larger than {} bytes", transfer.shown, kMaxHeaderBytes)};
    return false;
  }
  const std::size_t colon = line.find(':');
  if (line.starts_with("HTTP/")) {
    head = {};
  } else if (colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), lower);
    head.headers[name] = trimmed(line.substr(colon + 1));
  } else if (trimmed(line).empty()) {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    head.status = static_cast<int>(status);
    if (status < 200 || !transfer.request.on_head) return true;
    if (const Status accepted = transfer.request.on_head(head); !accepted) {
      transfer.outcome.error = accepted.error();
      return false;
    }
  }
  return true;
}

std::size_t on_header(char* line, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  transfer.active = Clock::now();
  transfer.outcome.answered = true;
  return take_header(transfer, {line, size * count}) ? size * count : 0;
}

std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view data(bytes, size * count);
  transfer.active = Clock::now();
  transfer.outcome.answered = true;
  transfer.received += data.size();
  if (transfer.received > transfer.max_response_bytes) {
    transfer.outcome.error = Error{Errc::backend_error, fmt::format("{}: the answer is larger than {} bytes",
                                                                    transfer.shown, transfer.max_response_bytes)};
    return 0;
  }
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  if (transfer.request.on_data && status >= 200 && status < 300) {
    const Status accepted = transfer.request.on_data(data);
    if (!accepted) {
      transfer.outcome.error = accepted.error();
      return 0;
    }
  } else {
    transfer.outcome.body.append(data);
  }
  return data.size();
}

int on_progress(void* user, curl_off_t /*total*/, curl_off_t down, curl_off_t /*total*/, curl_off_t up) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (down + up != transfer.moved) {
    transfer.moved = down + up;
    transfer.active = Clock::now();
  }
  return 0;
}

int on_socket(void* /*user*/, curl_socket_t socket, curlsocktype /*purpose*/) {
  ::fcntl(socket, F_SETFD, FD_CLOEXEC);
  return CURL_SOCKOPT_OK;
}

void set_protocols(CURL* easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

bool add_header(Headers& headers, const std::string& line) {
  curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
  if (longer == nullptr) return false;
  static_cast<void>(headers.release());
  headers.reset(longer);
  return true;
}

bool set_up(Transfer& transfer, const HttpUrl& url, const HttpOptions& options) {
  transfer.easy.reset(curl_easy_init());
  CURL* easy = transfer.easy.get();
  if (easy == nullptr) return false;
  bool ok = add_header(transfer.headers, "Accept: " + transfer.request.accept);
  if (transfer.request.body) {
    ok = ok && add_header(transfer.headers, "Content-Type: application/json");
    ok = ok && add_header(transfer.headers, "Expect:");  // or libcurl waits a second for a permission few servers give
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.request.body->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.request.body->data());
  }
  if (!transfer.request.bearer_token.empty()) {
    ok = ok && add_header(transfer.headers, "Authorization: Bearer " + transfer.request.bearer_token);
  }
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers.get());
  curl_easy_setopt(easy, CURLOPT_URL, url.text.c_str());
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.reason);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "escribano");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
  set_protocols(easy);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!transfer.request.range.empty()) curl_easy_setopt(easy, CURLOPT_RANGE, transfer.request.range.c_str());
  if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
  if (!options.share_connections)
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  if (url.loopback) curl_easy_setopt(easy, CURLOPT_PROXY, "");  // the empty string switches the environment's off
  return ok;
}

// What became of a transfer that libcurl has ended.
void conclude(Transfer& transfer, CURLcode code) {
  HttpOutcome& outcome = transfer.outcome;
  long status = 0;
  curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  outcome.status = static_cast<int>(status);
  char* type = nullptr;
  if (curl_easy_getinfo(transfer.easy.get(), CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type != nullptr) {
    outcome.content_type = type;
  }
  if (code == CURLE_OK || outcome.error) return;
  const char* reason = transfer.reason[0] != '\0' ? transfer.reason : curl_easy_strerror(code);
  outcome.error = Error{Errc::backend_error, fmt::format("{}: {}", transfer.shown, reason)};
  outcome.transient = is_transient(code);
  outcome.untrusted = code == CURLE_PEER_FAILED_VERIFICATION;
}

}  // namespace

std::vector<std::string> HttpOptions::validate() const {
  std::vector<std::string> problems;
  if (connect_timeout <= milliseconds(0)) problems.emplace_back("the connect timeout must be more than 0");
  if (stall_timeout <= milliseconds(0)) problems.emplace_back("the stall timeout must be more than 0");
  if (max_response_bytes == 0) problems.emplace_back("the size limit of answers must be more than 0");
  return problems;
}

namespace {

// What `url` holds, and `text` for it. Credentials are taken out of `url`.
Result<HttpUrl> describe_url(CURLU* url, std::string text) {
  HttpUrl parsed;
  parsed.text = std::move(text);
  const std::string scheme = url_part(url, CURLUPART_SCHEME);
  const std::string host = url_part(url, CURLUPART_HOST);
  if ((scheme != "http" && scheme != "https") || host.empty()) {
    return fail(Errc::invalid_argument, "the server's address is a URL of the kind {}; it must be http or https",
                scheme);
  }
  char* port = nullptr;
  if (curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK || port == nullptr) {
    return fail(Errc::invalid_argument, "the server's address has no port");
  }
  parsed.origin = fmt::format("{}://{}:{}", scheme, host, port);
  curl_free(port);
  std::transform(parsed.origin.begin(), parsed.origin.end(), parsed.origin.begin(), lower);
  parsed.https = scheme == "https";
  parsed.loopback = names_this_machine(host);
  for (const CURLUPart hidden : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(url, hidden, nullptr, 0);
  }
  parsed.shown = url_part(url, CURLUPART_URL);
  return parsed;
}

}  // namespace

Result<HttpUrl> parse_http_url(std::string_view text) {
  const std::unique_ptr<CURLU, UrlCloser> url(curl_url());
  std::string copy(text);
  if (!url) return fail(Errc::out_of_memory, "no memory to read a URL");
  if (curl_url_set(url.get(), CURLUPART_URL, copy.c_str(), 0) != CURLUE_OK) {
    return fail(Errc::invalid_argument, "the server's address is not a URL such as http://127.0.0.1:8080");
  }
  return describe_url(url.get(), std::move(copy));
}

Result<HttpUrl> joined_url(const std::string& base, const std::string& location) {
  const std::unique_ptr<CURLU, UrlCloser> url(curl_url());
  if (!url) return fail(Errc::out_of_memory, "no memory to read a URL");
  // A relative URL is taken from the one before.
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return fail(Errc::invalid_argument, "the server sent an address that is not a URL");
  }
  std::string text = url_part(url.get(), CURLUPART_URL);
  return describe_url(url.get(), std::move(text));
}

std::string escaped_path_part(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

std::string_view HttpHead::header(std::string_view name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

struct HttpSession::Impl {
  HttpOptions options;
  // The transfers are freed before the multi handle they were in, and so have to be taken out of it first.
  std::unique_ptr<CURLM, MultiCloser> multi;
  std::map<Transfer*, std::unique_ptr<Transfer>> transfers;
  std::deque<Finished> finished;

  ~Impl() {
    const SigpipeBlocked quiet;  // closing a TLS connection writes to it
    for (const auto& [transfer, owner] : transfers) curl_multi_remove_handle(multi.get(), transfer->easy.get());
    transfers.clear();
    multi.reset();
  }

  void finish(Transfer* transfer) {
    curl_multi_remove_handle(multi.get(), transfer->easy.get());
    finished.push_back({transfer->id, std::move(transfer->outcome)});
    transfers.erase(transfer);
  }

  void collect() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;  // the message does not outlive the handle
      Transfer* transfer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      conclude(*transfer, code);
      finish(transfer);
    }
  }

  void end_stalled(Clock::time_point now) {
    std::vector<Transfer*> stalled;
    for (const auto& [transfer, owner] : transfers) {
      if (now - transfer->active >= options.stall_timeout) stalled.push_back(transfer);
    }
    for (Transfer* transfer : stalled) {
      transfer->outcome.error =
          Error{Errc::backend_error, fmt::format("{}: nothing was heard from it for {} s", transfer->shown,
                                                 std::chrono::duration<double>(options.stall_timeout).count())};
      transfer->outcome.transient = true;
      finish(transfer);
    }
  }

  // How long the thread may sleep: until the first transfer would be stalled, `until`, or a second.
  int sleep_ms(Clock::time_point now, Clock::time_point until) const {
    Clock::time_point wake = std::min(until, now + std::chrono::seconds(1));
    for (const auto& [transfer, owner] : transfers) wake = std::min(wake, transfer->active + options.stall_timeout);
    const auto left = std::chrono::ceil<milliseconds>(wake - now).count();
    return static_cast<int>(std::max<milliseconds::rep>(left, 0));
  }
};

HttpSession::HttpSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpSession::HttpSession(HttpSession&&) noexcept = default;
HttpSession& HttpSession::operator=(HttpSession&&) noexcept = default;
HttpSession::~HttpSession() = default;

Result<HttpSession> HttpSession::open(const HttpOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  if (curl_is_ready()) impl->multi.reset(curl_multi_init());
  if (!impl->multi) return fail(Errc::internal, "libcurl cannot be set up");
  return HttpSession(std::move(impl));
}

Status HttpSession::start(std::size_t id, HttpRequest request) {
  ESCRIBANO_TRY(const HttpUrl url, parse_http_url(request.url));
  if (request.bearer_token.find_first_of("\r\n") != std::string::npos) {
    return fail(Errc::invalid_argument, "the API key has a line break in it");
  }
  auto transfer = std::make_unique<Transfer>(std::move(request));
  transfer->id = id;
  transfer->shown = url.shown;
  transfer->max_response_bytes = transfer->request.max_response_bytes.value_or(impl_->options.max_response_bytes);
  if (!set_up(*transfer, url, impl_->options) ||
      curl_multi_add_handle(impl_->multi.get(), transfer->easy.get()) != CURLM_OK) {
    return fail(Errc::internal, "{}: the request cannot be set up", url.shown);
  }
  Transfer* const key = transfer.get();
  impl_->transfers.emplace(key, std::move(transfer));
  return {};
}

std::size_t HttpSession::in_flight() const noexcept { return impl_->transfers.size() + impl_->finished.size(); }

Result<std::optional<HttpSession::Finished>> HttpSession::next(const std::stop_token& stop, Clock::time_point until) {
  const SigpipeBlocked quiet;
  CURLM* const multi = impl_->multi.get();
  const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
  for (;;) {
    if (stop.stop_requested()) return fail(Errc::cancelled, "cancelled");
    int running = 0;
    if (const CURLMcode code = curl_multi_perform(multi, &running); code != CURLM_OK) {
      return fail(Errc::internal, "libcurl: {}", curl_multi_strerror(code));
    }
    impl_->collect();
    const Clock::time_point now = Clock::now();
    impl_->end_stalled(now);
    if (!impl_->finished.empty()) {
      std::optional<Finished> first = std::move(impl_->finished.front());
      impl_->finished.pop_front();
      return first;
    }
    if (now >= until) return std::optional<Finished>();
    if (const CURLMcode code = curl_multi_poll(multi, nullptr, 0, impl_->sleep_ms(now, until), nullptr);
        code != CURLM_OK) {
      return fail(Errc::internal, "libcurl: {}", curl_multi_strerror(code));
    }
  }
}

std::string http_library_version() {
  const curl_version_info_data* info = curl_version_info(CURLVERSION_NOW);
  return fmt::format("libcurl {} ({})", info->version, info->ssl_version == nullptr ? "no TLS" : info->ssl_version);
}

}  // namespace escribano
