#include "hub/segment_journal.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <numeric>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/posix.h"

namespace escribano::hub {
namespace {

namespace fs = std::filesystem;
using Segment = SegmentJournal::Segment;

constexpr std::size_t kLineBytes = 21;  // 20 digits and a line break
constexpr std::uint64_t kMaxJournalBytes = 8U << 20;
constexpr std::string_view kOpen = "partial";
constexpr std::string_view kChecked = "checked";  // as long

std::string head_of(const SegmentJournal::Content& content, std::uint64_t segment_bytes, std::string_view state) {
  return fmt::format("escribano-pull 1 {} {} {} {}\n", content.size, content.hash, segment_bytes, state);
}

std::vector<Segment> cut(std::uint64_t size, std::uint64_t segment_bytes) {
  std::vector<Segment> segments;
  for (std::uint64_t at = 0; at < size; at += segment_bytes) {
    segments.push_back({.begin = at, .length = std::min(segment_bytes, size - at), .done = 0});
  }
  return segments;
}

std::string line_of(std::uint64_t done) { return fmt::format("{:020}\n", done); }

std::uint64_t whole(const SegmentJournal::Content& content) { return std::max<std::uint64_t>(content.size, 1); }

Status write_at(const FileDescriptor& fd, std::uint64_t offset, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      return fail(Errc::io_error, "{} cannot be written: {}", printable(path), errno_text(error));
    }
    offset += static_cast<std::uint64_t>(written);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<FileDescriptor> open_file(const fs::path& path, int flags) {
  FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0644));
  struct stat status = {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    const int error = errno;
    return fail(errc_of(error), "{} cannot be written: {}", printable(path), errno_text(error));
  }
  if (!S_ISREG(status.st_mode)) return fail(Errc::unsupported, "{} is no regular file", printable(path));
  return fd;
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);  // a link itself, never what it leads to
}

}  // namespace

SegmentJournal::SegmentJournal(fs::path data, fs::path journal, Content content)
    : data_path_(std::move(data)), journal_path_(std::move(journal)), content_(std::move(content)) {}

std::optional<std::vector<Segment>> SegmentJournal::parse(std::string_view text, const Content& content,
                                                          bool* checked) {
  for (const std::uint64_t segment_bytes : {content.segment_bytes, whole(content)}) {
    for (const std::string_view state : {kOpen, kChecked}) {
      const std::string head = head_of(content, segment_bytes, state);
      std::vector<Segment> segments = cut(content.size, segment_bytes);
      if (!text.starts_with(head) || text.size() != head.size() + segments.size() * kLineBytes) continue;
      std::string_view rest = text.substr(head.size());
      for (Segment& segment : segments) {
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + kLineBytes - 1, segment.done);
        if (error != std::errc() || end != rest.data() + kLineBytes - 1 || *end != '\n' ||
            segment.done > segment.length) {
          return std::nullopt;
        }
        rest.remove_prefix(kLineBytes);
      }
      *checked = state == kChecked;
      return segments;
    }
  }
  return std::nullopt;
}

Result<SegmentJournal> SegmentJournal::open(fs::path data, fs::path journal, Content content) {
  SegmentJournal opened(std::move(data), std::move(journal), std::move(content));
  const std::string head = head_of(opened.content_, opened.content_.segment_bytes, kOpen);
  if (auto text = read_text_file(opened.journal_path_, kMaxJournalBytes)) {
    bool checked = false;
    auto segments = parse(*text, opened.content_, &checked);
    auto data_file = segments ? open_file(opened.data_path_, 0) : fail(Errc::not_found, "no journal");
    auto journal_file = segments ? open_file(opened.journal_path_, 0) : fail(Errc::not_found, "no journal");
    if (segments && data_file && journal_file) {
      opened.segments_ = *std::move(segments);
      opened.data_ = *std::move(data_file);
      opened.journal_ = *std::move(journal_file);
      opened.head_bytes_ = text->find('\n') + 1;
      opened.checked_ = checked;
      opened.resumed_ = opened.done_bytes() > 0;
      return opened;
    }
  }
  ESCRIBANO_CHECK(opened.start(false, false));
  return opened;
}

Result<SegmentJournal> SegmentJournal::adopt(const fs::path& source, fs::path data, fs::path journal, Content content) {
  SegmentJournal adopted(std::move(data), std::move(journal), std::move(content));
  remove_quietly(adopted.journal_path_);
  remove_quietly(adopted.data_path_);
  std::error_code error;
  fs::create_hard_link(source, adopted.data_path_, error);
  if (error) {
    error.clear();
    fs::copy_file(source, adopted.data_path_, error);
  }
  if (error) {
    adopted.discard();
    return fail(Errc::io_error, "{} cannot be taken over: {}", printable(source), error.message());
  }
  const Status started = adopted.start(false, true);
  if (!started) {
    adopted.discard();
    return fail(started.error());
  }
  adopted.resumed_ = true;
  return adopted;
}

// New files. Data that has been there loses this name: it may have another one, in a folder that is in use.
Status SegmentJournal::start(bool in_one, bool complete) {
  const std::uint64_t segment_bytes = in_one ? whole(content_) : content_.segment_bytes;
  segments_ = cut(content_.size, segment_bytes);
  remove_quietly(journal_path_);
  if (!complete) {
    remove_quietly(data_path_);
    ESCRIBANO_TRY(data_, open_file(data_path_, O_CREAT | O_EXCL));
  } else {
    ESCRIBANO_TRY(data_, open_file(data_path_, 0));
  }
  std::string text = head_of(content_, segment_bytes, kOpen);
  head_bytes_ = text.size();
  for (Segment& segment : segments_) {
    if (complete) segment.done = segment.length;
    text += line_of(segment.done);
  }
  ESCRIBANO_TRY(journal_, open_file(journal_path_, O_CREAT | O_EXCL));
  resumed_ = false;
  checked_ = false;
  return write_at(journal_, 0, text, journal_path_);
}

std::uint64_t SegmentJournal::done_bytes() const noexcept {
  return std::accumulate(segments_.begin(), segments_.end(), std::uint64_t{0},
                         [](std::uint64_t sum, const Segment& segment) { return sum + segment.done; });
}

Status SegmentJournal::note(std::size_t segment) {
  return write_at(journal_, head_bytes_ + segment * kLineBytes, line_of(segments_[segment].done), journal_path_);
}

Status SegmentJournal::write(std::size_t index, std::string_view bytes) {
  Segment& segment = segments_[index];
  if (bytes.size() > segment.length - segment.done) return fail(Errc::internal, "more bytes than the segment has");
  ESCRIBANO_CHECK(write_at(data_, segment.begin + segment.done, bytes, data_path_));
  segment.done += bytes.size();
  return note(index);
}

Status SegmentJournal::rewind(std::size_t segment) {
  segments_[segment].done = 0;
  return note(segment);
}

Status SegmentJournal::restart(bool in_one) { return start(in_one, false); }

Status SegmentJournal::set_checked() {
  if (::fsync(data_.get()) != 0) {
    const int error = errno;
    return fail(Errc::io_error, "{} cannot be written: {}", printable(data_path_), errno_text(error));
  }
  ESCRIBANO_CHECK(write_at(journal_, head_bytes_ - 1 - kChecked.size(), kChecked, journal_path_));
  checked_ = true;
  return {};
}

void SegmentJournal::discard() {
  remove_quietly(journal_path_);
  remove_quietly(data_path_);
}

}  // namespace escribano::hub
