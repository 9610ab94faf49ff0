#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace escribano {

// A hub of a test's own: what the client asks of the real one, on free ports of 127.0.0.1, over TLS with a certificate that
// was made for the occasion. Files lie on a second server (another port: another origin), to which the hub redirects.
class HubServer {
 public:
  enum class Tls { on, off };
  explicit HubServer(Tls tls = Tls::on);
  ~HubServer();
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;

  struct File {
    std::string path;
    std::string content;
    bool lfs = true;  // listed with its SHA-256 and served by the second server; otherwise like what git keeps itself
  };
  // What the repository "org/model" is from now on.
  void set_files(std::vector<File> files, std::string commit = std::string(40, 'a'));
  // All files of a folder; *.safetensors and *.gguf as large ones.
  void set_folder(const std::filesystem::path& folder);
  // What is listed, where that is not what is served: the JSON entries of a page.
  void set_listing(std::string entries);
  // Files on a page of the listing.
  void set_page_size(std::size_t files);
  void ignore_ranges();
  // All connections together.
  void set_bytes_per_second(std::uint64_t rate);

  struct Request {
    std::string target;  // path and query
    std::string authorization;
    std::string range;
    bool to_files = false;  // to the second server
    int number = 0;         // counts those with the same target and range, from 0
  };
  struct Reply {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    // Sends a Content-Length other than that of the body, or (-1) none.
    std::optional<std::int64_t> length;
    bool close = false;    // after it
    bool endless = false;  // the body again and again
    bool silent = false;   // nothing at all, until the client gives up
  };
  // Asked first about each request; nullopt: as if nobody had asked. Called on many threads, one at a time, perhaps
  // after the client has gone: what it refers to must live as long as the server. The reply that
  // would have been sent is passed along.
  using Fault = std::function<std::optional<Reply>(const Request& request, const Reply& ordinary)>;
  void set_fault(Fault fault);

  std::string url() const;
  std::string files_url() const;
  // PEM; of the only authority that vouches for the server.
  std::filesystem::path certificate() const;
  std::vector<Request> requests() const;
  // Bytes of files that went out.
  std::uint64_t sent_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string sha256_of(const std::string& content);
std::string git_sha1_of(const std::string& content);

}  // namespace escribano
