#include "hub/pull.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_lock.h"
#include "base/posix.h"
#include "hub/digests.h"
#include "hub/download.h"
#include "hub/listing.h"
#include "hub/manifest.h"
#include "hub/selection.h"
#include "models/resolve.h"

namespace escribano::hub {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxPages = 100;
constexpr std::uint64_t kMaxTotalBytes = 4ULL << 40;
// Left free beside what is downloaded.
constexpr std::uint64_t kSpareBytes = 64U << 20;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(path, ignored));
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

void remove_tree(const fs::path& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);  // links in it are removed and not followed
}

Status make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return fail(errc_of(error.value()), "{} cannot be made: {}", printable(path), error.message());
  return {};
}

std::string hash_of(const RemoteFile& file) { return file.sha256.empty() ? file.git_sha1 : file.sha256; }

bool is_same_content(const RemoteFile& a, const RemoteFile& b) {
  if (a.size != b.size) return false;
  if (!a.sha256.empty() && !b.sha256.empty()) return a.sha256 == b.sha256;
  return !a.git_sha1.empty() && a.git_sha1 == b.git_sha1;
}

// Whether `manifest` tells of these files of this commit, and perhaps of more.
bool is_of(const Manifest& manifest, const std::string& commit, const std::vector<PullFile>& files) {
  return manifest.commit == commit && std::ranges::all_of(files, [&](const PullFile& file) {
           return std::ranges::any_of(manifest.files, [&](const PullFile& other) {
             return other.name == file.name && is_same_content(other.remote, file.remote);
           });
         });
}

std::uint64_t total_of(const std::vector<PullFile>& files) {
  std::uint64_t sum = 0;
  for (const PullFile& file : files) sum += file.remote.size;
  return sum;
}

// Whether all files lie in `folder` with the size they should have.
bool has_all(const fs::path& folder, const std::vector<PullFile>& files) {
  return std::ranges::all_of(files, [&](const PullFile& file) {
    std::error_code error;
    return fs::is_regular_file(folder / file.name, error) &&
           fs::file_size(folder / file.name, error) == file.remote.size;
  });
}

bool has_label(const Manifest& manifest, const std::string& quant) {
  return ::strcasecmp(manifest.name.quant.c_str(), quant.c_str()) == 0 ||
         std::ranges::any_of(manifest.files, [&](const PullFile& file) {
           return ::strcasecmp(quant_label(file.name).c_str(), quant.c_str()) == 0;
         });
}

// `a` and `b` are folders of one file system, and are exchanged in one step.
Status exchange(const fs::path& a, const fs::path& b) {
#if defined(RENAME_EXCHANGE)
  const int failed = ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE);
#elif defined(RENAME_SWAP)
  const int failed = ::renamex_np(a.c_str(), b.c_str(), RENAME_SWAP);
#else
  const int failed = -1;
  errno = ENOSYS;
#endif
  if (failed == 0) return {};
  // Not every file system can. The moment between the two steps is short, and what a crash in it leaves is complete.
  const fs::path aside = a.native() + ".old";
  std::error_code error;
  fs::rename(b, aside, error);
  if (!error) fs::rename(a, b, error);
  if (error) return fail(errc_of(error.value()), "{} cannot be replaced: {}", printable(b), error.message());
  remove_tree(aside);
  return {};
}

class Pull {
 public:
  Pull(const HubName& name, const PullOptions& options, const PullProgressCallback& progress,
       const std::stop_token& stop)
      : name_(name),
        options_(options),
        progress_(progress),
        stop_(stop),
        folder_(options.home / "models" / name.repository),
        part_(folder_.parent_path() / ("." + folder_.filename().native() + ".part")),
        files_folder_(part_ / "files") {}

  Result<Pulled> run() {
    if (options_.offline) return find_offline();
    ESCRIBANO_TRY(HubClient hub, HubClient::create(options_.hub));
    ESCRIBANO_CHECK(list(hub));
    if (auto cached = in_cache()) return *std::move(cached);
    if (!is_there(part_) && is_up_to_date(read_manifest(folder_))) return result(Pulled::How::up_to_date, folder_);
    ESCRIBANO_CHECK(make_folder(folder_.parent_path()));
    const fs::path lock_path = folder_.parent_path() / ("." + folder_.filename().native() + ".lock");
    ESCRIBANO_TRY(const auto lock, FileLock::try_lock(lock_path));
    if (!lock) return fail(Errc::already_running, "{} is being pulled by another process", name_.repository);
    // From here on nobody else changes anything.
    const std::optional<Manifest> before = read_manifest(folder_);
    if (is_up_to_date(before)) {
      remove_tree(part_);
      return result(Pulled::How::up_to_date, folder_);
    }
    ESCRIBANO_CHECK(check_replaceable(before.has_value()));
    if (before && before->commit == commit_) add_other_labels(*before);
    ESCRIBANO_CHECK(open_part());
    if (!is_finished_) {
      const Status arrived = bring(hub, before);
      if (!arrived) {
        leave_nothing_empty();
        return fail(arrived.error());
      }
    }
    ESCRIBANO_CHECK(put_in_place(before));
    Pulled pulled = result(Pulled::How::downloaded, folder_);
    pulled.fresh_bytes = fresh_bytes_;
    if (before && before->commit != commit_)
      pulled.replaced = fmt::format("{}@{}", to_text(before->name), before->commit.substr(0, 12));
    return pulled;
  }

 private:
  Result<Pulled> find_offline() const {
    const auto manifest = read_manifest(folder_);
    if (manifest && has_all(folder_, manifest->files) &&
        (name_.revision == manifest->name.revision || name_.revision == manifest->commit) &&
        (name_.quant.empty() || has_label(*manifest, name_.quant))) {
      Pulled pulled = {.how = Pulled::How::up_to_date, .folder = folder_, .commit = manifest->commit};
      pulled.files = manifest->files.size();
      pulled.total_bytes = total_of(manifest->files);
      return pulled;
    }
    const auto snapshot = hub_cache_snapshot(options_.hf_hub, name_.repository);
    if (snapshot && !is_there(folder_) && name_.quant.empty() &&
        (name_.revision == "main" || name_.revision == snapshot->filename())) {
      return Pulled{.how = Pulled::How::in_cache, .folder = *snapshot, .commit = snapshot->filename()};
    }
    return fail(Errc::not_found, "{} is not on this machine, and HF_HUB_OFFLINE forbids to ask the hub for it",
                to_text(name_));
  }

  // Fills commit_ and files_.
  Status list(HubClient& hub) {
    report({.stage = PullProgress::Stage::listing});
    const std::string api = "/api/models/" + name_.repository;
    const std::string what = fmt::format("{}@{}", name_.repository, name_.revision);
    ESCRIBANO_TRY(const HubClient::Answer revision,
                  hub.get(hub.url(api + "/revision/" + escaped_path_part(name_.revision)), what, stop_));
    ESCRIBANO_TRY(commit_, parse_commit(revision.body));
    std::vector<RemoteFile> listed;
    std::string url = hub.url(api + "/tree/" + commit_ + "?recursive=true");
    for (int page = 0; !url.empty(); ++page) {
      if (page == kMaxPages)
        return fail(Errc::too_large, "{}: the hub's listing has more than {} pages", what, kMaxPages);
      ESCRIBANO_TRY(const HubClient::Answer answer, hub.get(url, what, stop_));
      ESCRIBANO_CHECK(append_listing(answer.body, listed));
      const std::string next = next_link(answer.link);
      if (next.empty()) break;
      ESCRIBANO_TRY(const HttpUrl joined, joined_url(url, next));
      if (joined.https != parse_http_url(url)->https) {
        return fail(Errc::protocol_error, "{}: the hub's listing goes on at an address of another kind", what);
      }
      url = joined.text;
    }
    ESCRIBANO_TRY(files_, select_files(listed, name_));
    if (total_of(files_) > kMaxTotalBytes) {
      return fail(Errc::too_large, "{} is said to have {}, more than any model", what, shown_size(total_of(files_)));
    }
    return {};
  }

  // In the Hugging Face cache, complete, and what the name stands for as things are.
  std::optional<Pulled> in_cache() const {
    if (is_there(folder_)) return std::nullopt;
    const auto snapshot = hub_cache_snapshot(options_.hf_hub, name_.repository);
    if (!snapshot || snapshot->filename() != commit_ || !has_all(*snapshot, files_)) return std::nullopt;
    // A name alone does not say which of several GGUF files is meant.
    const auto models = [](const fs::path& path) {
      return path.extension() == ".gguf" && path.filename().native().find("mmproj") == std::string::npos;
    };
    std::ptrdiff_t there = 0;
    std::error_code error;
    for (fs::directory_iterator it(*snapshot, error), end; !error && it != end; it.increment(error)) {
      if (models(it->path())) ++there;
    }
    if (there != std::ranges::count_if(files_, [&](const PullFile& file) { return models(file.name); }))
      return std::nullopt;
    return result(Pulled::How::in_cache, *snapshot);
  }

  Pulled result(Pulled::How how, const fs::path& folder) const {
    return {.how = how, .folder = folder, .commit = commit_, .files = files_.size(), .total_bytes = total_of(files_)};
  }

  bool is_up_to_date(const std::optional<Manifest>& there) const {
    return there && is_of(*there, commit_, files_) && has_all(folder_, files_);
  }

  // Of the same commit, models with other labels stay beside the one that is wanted now.
  void add_other_labels(const Manifest& before) {
    for (const PullFile& file : before.files) {
      if (std::ranges::find(files_, file.name, &PullFile::name) == files_.end() && has_all(folder_, {file})) {
        files_.push_back(file);
      }
    }
    std::ranges::sort(files_, {}, &PullFile::name);
  }

  Status check_replaceable(bool was_pulled) const {
    if (!is_there(folder_)) return {};
    std::error_code error;
    if (!is_folder(folder_)) {
      return fail(Errc::invalid_argument, "{} is no folder of its own; move it away to pull {}", printable(folder_),
                  name_.repository);
    }
    if (was_pulled || fs::is_empty(folder_, error)) return {};
    return fail(Errc::invalid_argument, "{} holds files that were not pulled; move it away to pull {}",
                printable(folder_), name_.repository);
  }

  // Of an earlier run only that is kept which belongs to this commit's files.
  Status open_part() {
    if (is_there(part_) && (!is_folder(part_) || !is_folder(files_folder_))) remove_tree(part_);
    if (is_there(files_folder_ / kManifestName)) {
      // Complete: what was about to take its place, or what was replaced and about to be removed.
      const auto manifest = read_manifest(files_folder_);
      is_finished_ = manifest && is_of(*manifest, commit_, files_) && has_all(files_folder_, files_);
      if (is_finished_) return {};
      remove_tree(part_);
    }
    ESCRIBANO_CHECK(make_folder(files_folder_));
    ESCRIBANO_CHECK(make_folder(part_ / "journals"));
    std::set<std::string> wanted;
    for (const PullFile& file : files_) wanted.insert(file.name);
    for (const fs::path& folder : {files_folder_, part_ / "journals"}) {
      std::error_code error;
      for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
        if (!wanted.contains(it->path().filename())) remove_tree(it->path());
      }
    }
    return {};
  }

  Status bring(const HubClient& hub, const std::optional<Manifest>& before) {
    std::vector<Download> downloads;
    for (const PullFile& file : files_) {
      ESCRIBANO_TRY(SegmentJournal journal, open_journal(file, before));
      std::string url = hub.url("/" + name_.repository + "/resolve/" + commit_);
      for (std::string_view rest = file.remote.path;;) {
        const std::size_t slash = rest.find('/');
        url += "/" + escaped_path_part(rest.substr(0, slash));
        if (slash == std::string_view::npos) break;
        rest.remove_prefix(slash + 1);
      }
      downloads.push_back({.file = file, .url = std::move(url), .journal = std::move(journal)});
    }
    ESCRIBANO_CHECK(check_space(downloads));
    ESCRIBANO_CHECK(download_all(hub, downloads));
    // What an earlier run left may have been lost with the power: such a file is fetched once more, from the beginning.
    ESCRIBANO_TRY(const bool again, check_hashes(downloads));
    if (!again) return {};
    ESCRIBANO_CHECK(download_all(hub, downloads));
    ESCRIBANO_TRY(const bool still, check_hashes(downloads));
    return still ? fail(Errc::internal, "a file was fetched anew, and counts as resumed") : Status();
  }

  Result<SegmentJournal> open_journal(const PullFile& file, const std::optional<Manifest>& before) const {
    const fs::path data = files_folder_ / file.name;
    const fs::path journal = part_ / "journals" / file.name;
    const SegmentJournal::Content content = {
        .size = file.remote.size, .hash = hash_of(file.remote), .segment_bytes = options_.segment_bytes};
    ESCRIBANO_TRY(SegmentJournal opened, SegmentJournal::open(data, journal, content));
    if (!before || opened.done_bytes() > 0) return opened;
    for (const PullFile& old : before->files) {
      std::error_code error;
      const fs::path source = folder_ / old.name;
      if (!is_same_content(old.remote, file.remote) || !fs::is_regular_file(fs::symlink_status(source, error)) ||
          fs::file_size(source, error) != file.remote.size) {
        continue;
      }
      if (auto adopted = SegmentJournal::adopt(source, data, journal, content)) return adopted;
      return SegmentJournal::open(data, journal, content);
    }
    return opened;
  }

  Status check_space(const std::vector<Download>& downloads) const {
    std::uint64_t missing = 0;
    for (const Download& file : downloads) missing += file.file.remote.size - file.journal.done_bytes();
    if (missing == 0) return {};
    std::error_code error;
    const fs::space_info space = fs::space(part_, error);
    if (error || space.available >= missing + kSpareBytes) return {};
    return fail(Errc::io_error, "{} needs {} more, and {} has {} free", to_text(name_),
                shown_size(missing + kSpareBytes), printable(part_.parent_path()), shown_size(space.available));
  }

  Status download_all(const HubClient& hub, std::vector<Download>& downloads) {
    std::uint64_t begun_with = 0;
    for (const Download& file : downloads) begun_with += file.journal.done_bytes();
    const std::uint64_t earlier = fresh_bytes_;
    const std::uint64_t total = total_of(files_);
    const auto tell = [&](std::uint64_t done) {
      // Less than at the beginning where a file had to start again.
      fresh_bytes_ = earlier + (done > begun_with ? done - begun_with : 0);
      report({.stage = PullProgress::Stage::downloading,
              .done_bytes = done,
              .total_bytes = total,
              .fresh_bytes = fresh_bytes_});
    };
    tell(begun_with);
    return download(hub, downloads, options_.connections, tell, stop_);
  }

  // Whether there are files to be fetched anew.
  Result<bool> check_hashes(std::vector<Download>& downloads) {
    bool again = false;
    std::uint64_t done = 0;
    for (std::size_t i = 0; i < downloads.size(); ++i) {
      Download& file = downloads[i];
      const fs::path path = files_folder_ / file.file.name;
      const auto tell = [&](std::uint64_t bytes) {
        done += bytes;
        report({.stage = PullProgress::Stage::checking, .done_bytes = done, .total_bytes = total_of(files_)});
        return !stop_.stop_requested();
      };
      if (file.journal.is_checked() && !files_[i].remote.sha256.empty()) {
        tell(file.file.remote.size);
        continue;
      }
      ESCRIBANO_TRY(const FileDigests digests, digests_of(path, tell));
      const RemoteFile& remote = file.file.remote;
      const bool good = digests.size == remote.size &&
                        (remote.sha256.empty() ? digests.git_sha1 == remote.git_sha1 : digests.sha256 == remote.sha256);
      if (good) {
        files_[i].remote.sha256 = digests.sha256;
        ESCRIBANO_CHECK(file.journal.set_checked());
      } else if (file.journal.is_resumed()) {
        ESCRIBANO_CHECK(file.journal.restart(false));
        again = true;
      } else {
        file.journal.discard();
        return fail(Errc::corrupt,
                    "{}: what the server sent is not the file that the hub lists (its {} is {} and not {}); deleted",
                    remote.path, remote.sha256.empty() ? "SHA-1" : "SHA-256",
                    remote.sha256.empty() ? digests.git_sha1 : digests.sha256, hash_of(remote));
      }
    }
    return again;
  }

  // Files that the user put beside those that were pulled go along.
  Status keep_other_files(const Manifest& before) const {
    std::set<std::string> known = {kManifestName};
    for (const PullFile& file : before.files) known.insert(file.name);
    for (const PullFile& file : files_) known.insert(file.name);
    std::error_code error;
    for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
      const fs::path name = it->path().filename();
      if (known.contains(name) || is_there(files_folder_ / name)) continue;
      fs::copy(it->path(), files_folder_ / name, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
    }
    if (error) return fail(Errc::io_error, "{} cannot be taken along: {}", printable(folder_), error.message());
    return {};
  }

  Status put_in_place(const std::optional<Manifest>& before) {
    if (!is_finished_) {
      if (before) ESCRIBANO_CHECK(keep_other_files(*before));
      Manifest manifest = {.name = name_, .commit = commit_, .files = files_};
      ESCRIBANO_CHECK(write_file_atomically(files_folder_ / kManifestName, to_text(manifest)));
    }
    // From here on the manifest says that the folder is complete, and a journal would say so of what the folder is exchanged
    // for.
    remove_tree(part_ / "journals");
    std::error_code error;
    if (before) {
      ESCRIBANO_CHECK(exchange(files_folder_, folder_));
    } else {
      fs::rename(files_folder_, folder_, error);
    }
    if (error) return fail(errc_of(error.value()), "{} cannot be made: {}", printable(folder_), error.message());
    remove_tree(part_);
    return {};
  }

  void leave_nothing_empty() const {
    std::error_code error;
    for (fs::directory_iterator it(files_folder_, error), end; !error && it != end; it.increment(error)) {
      if (it->file_size(error) > 0) return;
    }
    remove_tree(part_);
  }

  void report(const PullProgress& progress) const {
    if (progress_) progress_(progress);
  }

  const HubName& name_;
  const PullOptions& options_;
  const PullProgressCallback& progress_;
  const std::stop_token& stop_;
  const fs::path folder_;
  const fs::path part_;
  const fs::path files_folder_;

  std::string commit_;
  std::vector<PullFile> files_;
  bool is_finished_ = false;  // an earlier run ended between the last check and the last step
  std::uint64_t fresh_bytes_ = 0;
};

}  // namespace

Result<Pulled> pull(const HubName& name, const PullOptions& options, const PullProgressCallback& progress,
                    const std::stop_token& stop) {
  return Pull(name, options, progress, stop).run();
}

}  // namespace escribano::hub
