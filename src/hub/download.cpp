#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

namespace escribano::hub {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using Segment = SegmentJournal::Segment;

// After so many new bytes of a segment its earlier failures no longer count.
constexpr std::uint64_t kProgressBytes = 1U << 20;
// Of an answer that is no part of a file: a redirect, an error page.
constexpr std::size_t kMaxOtherBytes = 64U << 10;

struct ContentRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // inclusive
  std::uint64_t size = 0;

  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

bool take_number(std::string_view& text, char after, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (after == '\0') return text.empty();
  if (!text.starts_with(after)) return false;
  text.remove_prefix(1);
  return true;
}

// "bytes 0-99/200"
std::optional<ContentRange> parse_range(std::string_view text) {
  ContentRange range;
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  if (!take_number(text, '-', range.begin) || !take_number(text, '/', range.end) ||
      !take_number(text, '\0', range.size)) {
    return std::nullopt;
  }
  return range;
}

struct FileState {
  std::string direct_url;  // where the last redirect led; empty: not known
  bool whole = false;      // the server ignores ranges
  int epoch = 0;           // counts restarts: what was asked for before one is not wanted any more
};

// A segment that is missing, in whole or from `done` on.
struct Piece {
  std::size_t file = 0;
  std::size_t segment = 0;
  int epoch = 0;
  int failures = 0;
  Clock::time_point not_before;
};

// A request for a piece. Its address is known to callbacks.
struct Exchange {
  Piece piece;
  std::string url;
  bool direct = false;  // begun with FileState::direct_url
  int hops = 0;
  std::uint64_t expected = 0;  // bytes
  std::uint64_t received = 0;
  bool ranges_ignored = false;
};

class Downloader {
 public:
  Downloader(const HubClient& hub, std::vector<Download>& files, HttpSession session)
      : hub_(hub), files_(files), states_(files.size()), session_(std::move(session)) {
    for (std::size_t i = 0; i < files_.size(); ++i) add_pieces(i);
  }

  Status run(int connections, const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop) {
    while (!pending_.empty() || !running_.empty()) {
      const Clock::time_point now = Clock::now();
      ESCRIBANO_CHECK(start_pieces(static_cast<std::size_t>(connections), now));
      ESCRIBANO_TRY(auto finished, session_.next(stop, now + milliseconds(running_.empty() ? 10 : 100)));
      if (finished) ESCRIBANO_CHECK(conclude(finished->id, finished->outcome));
      if (progress) progress(done_bytes());
    }
    return {};
  }

 private:
  std::uint64_t done_bytes() const {
    std::uint64_t sum = 0;
    for (const Download& file : files_) sum += file.journal.done_bytes();
    return sum;
  }

  void add_pieces(std::size_t file) {
    const auto& segments = files_[file].journal.segments();
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (segments[i].done < segments[i].length)
        pending_.push_back({.file = file, .segment = i, .epoch = states_[file].epoch});
    }
  }

  Status start_pieces(std::size_t connections, Clock::time_point now) {
    for (auto it = pending_.begin(); it != pending_.end() && running_.size() < connections;) {
      if (it->not_before > now) {
        ++it;
        continue;
      }
      auto exchange = std::make_unique<Exchange>();
      exchange->piece = *it;
      it = pending_.erase(it);
      const FileState& state = states_[exchange->piece.file];
      if (exchange->piece.epoch != state.epoch) continue;
      exchange->direct = !state.direct_url.empty();
      exchange->url = exchange->direct ? state.direct_url : files_[exchange->piece.file].url;
      ESCRIBANO_CHECK(start(std::move(exchange)));
    }
    return {};
  }

  Status start(std::unique_ptr<Exchange> exchange) {
    Download& file = files_[exchange->piece.file];
    FileState& state = states_[exchange->piece.file];
    if (state.whole) ESCRIBANO_CHECK(file.journal.rewind(exchange->piece.segment));
    const Segment& segment = file.journal.segments()[exchange->piece.segment];
    const std::uint64_t begin = segment.begin + segment.done;
    exchange->expected = segment.length - segment.done;
    exchange->received = 0;
    Exchange* const raw = exchange.get();
    HttpRequest request = {.url = raw->url, .bearer_token = hub_.token_for(raw->url)};
    request.on_data = [this, raw](std::string_view bytes) { return take(*raw, bytes); };
    request.on_head = [this, raw, begin](const HttpHead& head) { return check_head(*raw, head, begin); };
    request.accept = "*/*";
    if (exchange->expected < file.file.remote.size)
      request.range = fmt::format("{}-{}", begin, begin + exchange->expected - 1);
    request.max_response_bytes = exchange->expected + kMaxOtherBytes;
    const std::size_t id = next_id_++;
    running_.emplace(id, std::move(exchange));
    return session_.start(id, std::move(request));
  }

  std::string name_of(const Exchange& exchange) const { return files_[exchange.piece.file].file.remote.path; }
  bool is_stale(const Exchange& exchange) const { return exchange.piece.epoch != states_[exchange.piece.file].epoch; }

  // Called within session_.next(), as take().
  Status check_head(Exchange& exchange, const HttpHead& head, std::uint64_t begin) {
    const std::uint64_t size = files_[exchange.piece.file].file.remote.size;
    const bool all = exchange.expected == size;
    if (head.status == 206 && !all) {
      const auto range = parse_range(head.header("content-range"));
      const ContentRange wanted = {.begin = begin, .end = begin + exchange.expected - 1, .size = size};
      if (range == wanted) return {};
      return fail(Errc::protocol_error, "{}: bytes {}-{} of {} were asked for, and the server sends \"{}\"",
                  name_of(exchange), wanted.begin, wanted.end, wanted.size,
                  head.header("content-range").substr(0, 100));
    }
    if (head.status == 206)
      return fail(Errc::protocol_error, "{}: the server sends a part of it unasked", name_of(exchange));
    if (head.status != 200) return {};
    if (std::string_view length = head.header("content-length"); !length.empty()) {
      std::uint64_t promised = 0;
      if (!take_number(length, '\0', promised) || promised != size) {
        return fail(Errc::protocol_error, "{}: the listing says {} bytes, and the server promises {}",
                    name_of(exchange), size, head.header("content-length").substr(0, 30));
      }
    }
    if (all) return {};
    exchange.ranges_ignored = true;
    return fail(Errc::unsupported, "{}: the server ignores ranges", name_of(exchange));
  }

  Status take(Exchange& exchange, std::string_view bytes) {
    if (is_stale(exchange)) return fail(Errc::cancelled, "not wanted any more");
    if (bytes.size() > exchange.expected - exchange.received) {
      return fail(Errc::protocol_error, "{}: the server sends more than the {} bytes that were to come",
                  name_of(exchange), exchange.expected);
    }
    ESCRIBANO_CHECK(files_[exchange.piece.file].journal.write(exchange.piece.segment, bytes));
    exchange.received += bytes.size();
    return {};
  }

  Status conclude(std::size_t id, HttpOutcome& outcome) {
    const auto found = running_.find(id);
    std::unique_ptr<Exchange> exchange = std::move(found->second);
    running_.erase(found);
    if (is_stale(*exchange)) return {};
    FileState& state = states_[exchange->piece.file];
    if (exchange->ranges_ignored) return read_whole(exchange->piece.file);
    if (!outcome.error && is_redirect(outcome.status)) {
      ESCRIBANO_TRY(const HttpUrl next, hub_.redirect(exchange->url, outcome.head, exchange->hops));
      ++exchange->hops;
      exchange->url = next.text;
      return start(std::move(exchange));
    }
    const bool good = outcome.status == 200 || outcome.status == 206;
    if (!outcome.error && good && exchange->received == exchange->expected) {
      if (exchange->hops > 0) state.direct_url = exchange->url;
      return {};
    }
    if (!outcome.error && good) {
      outcome.error =
          Error{Errc::backend_error, fmt::format("{}: the server stopped after {} of {} bytes", name_of(*exchange),
                                                 exchange->received, exchange->expected)};
      outcome.transient = true;
    }
    return again(*exchange, outcome);
  }

  Status read_whole(std::size_t file) {
    ++states_[file].epoch;
    states_[file].whole = true;
    ESCRIBANO_CHECK(files_[file].journal.restart(true));
    add_pieces(file);
    return {};
  }

  Status again(const Exchange& exchange, HttpOutcome& outcome) {
    Piece piece = exchange.piece;
    FileState& state = states_[piece.file];
    if (exchange.received >= kProgressBytes && !state.whole) piece.failures = 0;
    // The addresses that a hub sends one to are good for an hour or so, and whoever refuses them is not the hub.
    const bool sent_there = exchange.direct || exchange.hops > 0;
    const bool refused = sent_there && !outcome.error && outcome.status >= 400 && outcome.status < 500;
    if (refused && outcome.status != 429) {
      outcome.error = Error{
          Errc::backend_error,
          fmt::format("{}: the server that the hub names answered with status {}", name_of(exchange), outcome.status)};
      outcome.transient = true;
    }
    if (exchange.direct) state.direct_url.clear();
    ++piece.failures;
    ESCRIBANO_TRY(const milliseconds wait,
                  hub_.wait_after(outcome, piece.failures, name_of(exchange), hub_.options().retry.attempts));
    piece.not_before = Clock::now() + (refused && exchange.direct ? milliseconds(0) : wait);
    pending_.push_front(piece);
    return {};
  }

  const HubClient& hub_;
  std::vector<Download>& files_;
  std::vector<FileState> states_;
  std::list<Piece> pending_;
  std::map<std::size_t, std::unique_ptr<Exchange>> running_;
  std::size_t next_id_ = 0;
  HttpSession session_;  // last: its callbacks refer to what is above
};

}  // namespace

Status download(const HubClient& hub, std::vector<Download>& files, int connections,
                const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop) {
  ESCRIBANO_TRY(HttpSession session, HttpSession::open(HubClient::http_options(hub.options())));
  return Downloader(hub, files, std::move(session)).run(connections, progress, stop);
}

}  // namespace escribano::hub
