#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace escribano::hub {

// A file that is downloaded in segments, and what is known about it on the disk, so that a download that ends at any moment
// goes on with the byte it had come to. The journal is a small text file: what the file is to become, then for each segment
// how many of its bytes are there, in lines of one length that are overwritten in place after the bytes themselves.
//
// A killed process leaves both as they were. After a loss of power the journal may promise bytes that never reached the
// disk; the hash of the whole file tells.
class SegmentJournal {
 public:
  struct Segment {
    std::uint64_t begin = 0;   // in the file
    std::uint64_t length = 0;  // bytes
    std::uint64_t done = 0;    // of them, from the beginning

    friend bool operator==(const Segment&, const Segment&) = default;
  };

  // Of what content the journal tells; a journal of anything else starts anew.
  struct Content {
    std::uint64_t size = 0;
    std::string hash;
    std::uint64_t segment_bytes = 16U << 20;
  };

  // Opens both files, or makes them where there is no journal of this content. Data without a journal is thrown away. Links
  // are never followed. Fails with not_permitted or io_error.
  static Result<SegmentJournal> open(std::filesystem::path data, std::filesystem::path journal, Content content);
  // The same for data that is complete in `source`, which becomes another name of `data` or is copied to it. What fails
  // leaves neither file.
  static Result<SegmentJournal> adopt(const std::filesystem::path& source, std::filesystem::path data,
                                      std::filesystem::path journal, Content content);

  const std::vector<Segment>& segments() const noexcept { return segments_; }
  std::uint64_t done_bytes() const noexcept;
  bool is_complete() const noexcept { return done_bytes() == content_.size; }
  // Whether some of the bytes were there when it was opened.
  bool is_resumed() const noexcept { return resumed_; }
  // Whether the hash of the complete file was found right.
  bool is_checked() const noexcept { return checked_; }

  // Appends to a segment, the one with that index. Must not be more than is missing of it. Fails with io_error (disk full) and names the file.
  Status write(std::size_t index, std::string_view bytes);
  // A segment starts again.
  Status rewind(std::size_t segment);
  // Everything starts again, in one segment where `in_one`.
  Status restart(bool in_one);
  // Puts the data onto the disk and notes that it is right.
  Status set_checked();
  // Removes both files.
  void discard();

  // The segments that the text of a journal tells of; nullopt where it is not one of `content`. Pure.
  static std::optional<std::vector<Segment>> parse(std::string_view text, const Content& content, bool* checked);

 private:
  SegmentJournal(std::filesystem::path data, std::filesystem::path journal, Content content);
  Status start(bool in_one, bool complete);
  Status note(std::size_t segment);

  std::filesystem::path data_path_;
  std::filesystem::path journal_path_;
  Content content_;
  FileDescriptor data_;
  FileDescriptor journal_;
  std::vector<Segment> segments_;
  std::size_t head_bytes_ = 0;
  bool resumed_ = false;
  bool checked_ = false;
};

}  // namespace escribano::hub
