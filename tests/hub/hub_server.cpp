#include "hub/hub_server.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Context = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Connection = std::unique_ptr<SSL, Freed<SSL_free>>;

std::string digest(const EVP_MD* kind, const std::string& content) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_Digest(content.data(), content.size(), bytes, &length, kind, nullptr);
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

// For 127.0.0.1, signed by itself.
Context make_context(const std::filesystem::path& certificate_path) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24L * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test hub"), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509V3_CTX extension_context;
  X509V3_set_ctx(&extension_context, certificate.get(), certificate.get(), nullptr, nullptr, 0);
  for (const auto& [kind, value] :
       {std::pair(NID_subject_alt_name, "IP:127.0.0.1"), std::pair(NID_basic_constraints, "CA:TRUE")}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &extension_context, kind, value);
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  std::FILE* file = std::fopen(certificate_path.c_str(), "w");
  if (file == nullptr) throw std::runtime_error("the certificate cannot be written");
  PEM_write_X509(file, certificate.get());
  std::fclose(file);
  Context context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY);
  if (SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    throw std::runtime_error("the certificate cannot be used");
  }
  return context;
}

struct Listener {
  FileDescriptor socket;
  int port = 0;

  Listener() : socket(::socket(AF_INET, SOCK_STREAM, 0)) {
    ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket.get(), 64) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port to listen on");
    }
    port = ntohs(address.sin_port);
  }
};

// One connection, with or without TLS.
class Stream {
 public:
  Stream(int fd, SSL_CTX* context) : fd_(fd) {
    if (context == nullptr) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd);
    good_ = SSL_accept(ssl_.get()) == 1;
  }
  bool good() const { return good_; }
  bool read_some(std::string& text) {
    char buffer[8192];
    const auto got =
        ssl_ ? SSL_read(ssl_.get(), buffer, sizeof buffer) : static_cast<int>(::recv(fd_, buffer, sizeof buffer, 0));
    if (got <= 0) return false;
    text.append(buffer, static_cast<std::size_t>(got));
    return true;
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                             : static_cast<int>(::send(fd_, bytes.data(), bytes.size(), 0));
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void close() {
    if (ssl_ && good_) SSL_shutdown(ssl_.get());
    ::shutdown(fd_, SHUT_RDWR);
  }

 private:
  int fd_;
  Connection ssl_;
  bool good_ = true;
};

std::string header_of(const std::string& head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string::npos; at = head.find("\r\n", at)) {
    at += 2;
    const std::size_t colon = head.find(':', at);
    if (colon == std::string::npos) break;
    std::string found = head.substr(at, colon - at);
    std::transform(found.begin(), found.end(), found.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (found == name) return head.substr(colon + 2, head.find("\r\n", at) - colon - 2);
  }
  return {};
}

}  // namespace

std::string sha256_of(const std::string& content) { return digest(EVP_sha256(), content); }
std::string git_sha1_of(const std::string& content) {
  return digest(EVP_sha1(), "blob " + std::to_string(content.size()) + '\0' + content);
}

struct HubServer::Impl {
  TempFolder folder;
  Context context;
  Listener hub;
  Listener files_host;

  mutable std::mutex mutex;  // of all that follows up to the threads
  std::vector<File> files;
  std::map<std::string, Json> entries;  // of the listing, by path
  std::string commit;
  std::optional<std::string> listing;
  std::size_t page_size = 1000;
  bool ranges = true;
  std::uint64_t rate = 0;
  Clock::time_point next_byte;
  std::vector<Request> requests;
  std::map<std::string, int> counts;
  std::atomic<std::uint64_t> sent = 0;

  std::mutex fault_mutex;
  Fault fault;
  std::stop_source stop;
  std::mutex connections_mutex;
  std::list<std::pair<FileDescriptor, std::jthread>> connections;
  std::vector<std::jthread> acceptors;

  void accept_on(const Listener& listener, bool to_files) {
    while (!stop.stop_requested()) {
      FileDescriptor fd(::accept(listener.socket.get(), nullptr, nullptr));
      if (!fd) continue;
      ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
      const std::lock_guard lock(connections_mutex);
      if (stop.stop_requested()) return;
      const int number = fd.get();
      connections.emplace_back(std::move(fd), std::jthread([this, number, to_files] { serve(number, to_files); }));
    }
  }

  void serve(int fd, bool to_files) {
    const int at_once = 1;  // or each answer would wait for the client to acknowledge its head
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    Stream stream(fd, context.get());
    std::string received;
    while (stream.good() && !stop.stop_requested()) {
      const std::size_t end = received.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (!stream.read_some(received)) break;
        continue;
      }
      const std::string head = received.substr(0, end + 2);
      received.erase(0, end + 4);
      if (!answer(stream, head, to_files)) break;
    }
    stream.close();
  }

  bool answer(Stream& stream, const std::string& head, bool to_files) {
    Request request;
    const std::size_t begin = head.find(' ') + 1;
    request.target = head.substr(begin, head.find(' ', begin) - begin);
    request.authorization = header_of(head, "authorization");
    request.range = header_of(head, "range");
    request.to_files = to_files;
    Reply reply;
    {
      const std::lock_guard lock(mutex);
      request.number = counts[request.target + " " + request.range]++;
      requests.push_back(request);
      reply = to_files ? file_reply(request, request.target.substr(6)) : hub_reply(request);
    }
    {
      const std::lock_guard lock(fault_mutex);
      auto other = fault ? fault(request, reply) : std::nullopt;
      if (other) reply = *std::move(other);
    }
    return send(stream, reply);
  }

  bool send(Stream& stream, const Reply& reply) {
    if (reply.silent) {
      std::string ignored;
      while (stream.read_some(ignored)) {
      }
      return false;
    }
    std::string head = fmt::format("HTTP/1.1 {} Status\r\n", reply.status);
    const std::int64_t length = reply.length.value_or(static_cast<std::int64_t>(reply.body.size()));
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    if (length >= 0 && !reply.endless) head += fmt::format("Content-Length: {}\r\n", length);
    const bool close = reply.close || reply.endless || length < 0;
    if (close) head += "Connection: close\r\n";
    if (!stream.write(head + "\r\n")) return false;
    do {
      for (std::string_view rest = reply.body; !rest.empty();) {
        const std::string_view part = rest.substr(0, 16384);
        if (!throttle(part.size()) || !stream.write(part)) return false;
        sent += part.size();
        rest.remove_prefix(part.size());
      }
    } while (reply.endless && !stop.stop_requested());
    return !close;
  }

  // False where the server ends.
  bool throttle(std::size_t bytes) {
    std::unique_lock lock(mutex);
    if (rate == 0) return true;
    const auto now = Clock::now();
    next_byte = std::max(next_byte, now) + std::chrono::nanoseconds(bytes * 1'000'000'000ULL / rate);
    std::condition_variable_any over;
    const Clock::time_point until = next_byte;
    over.wait_until(lock, stop.get_token(), until, [] { return false; });
    return !stop.stop_requested();
  }

  std::string origin(const Listener& listener) const {
    return fmt::format("{}://127.0.0.1:{}", context ? "https" : "http", listener.port);
  }

  Reply file_reply(const Request& request, const std::string& path) const {
    const auto file = std::find_if(files.begin(), files.end(),
                                   [&](const File& f) { return f.path == path.substr(0, path.find('?')); });
    if (file == files.end()) return {.status = 404, .body = "no such file"};
    const std::string& content = file->content;
    std::size_t first = 0;
    std::size_t last = 0;
    if (!ranges || std::sscanf(request.range.c_str(), "bytes=%zu-%zu", &first, &last) != 2) return {.body = content};
    last = std::min(last, content.size() - 1);
    return {.status = 206,
            .headers = {{"Content-Range", fmt::format("bytes {}-{}/{}", first, last, content.size())}},
            .body = content.substr(first, last - first + 1)};
  }

  Reply hub_reply(const Request& request) const {
    const std::string api = "/api/models/org/model";
    if (request.target == api + "/revision/main" || request.target == api + "/revision/" + commit) {
      return {.body = Json{{"sha", commit}, {"id", "org/model"}}.dump()};
    }
    if (const std::string tree = api + "/tree/" + commit + "?recursive=true"; request.target.starts_with(tree)) {
      if (listing) return {.body = "[" + *listing + "]"};
      std::size_t from = 0;
      static_cast<void>(std::sscanf(request.target.c_str() + tree.size(), "&cursor=%zu", &from));
      Json page = Json::array();
      for (auto it = entries.begin(); it != entries.end(); ++it) {
        const auto index = static_cast<std::size_t>(std::distance(entries.begin(), it));
        if (index >= from && index < from + page_size) page.push_back(it->second);
      }
      Reply reply = {.body = page.dump()};
      if (from + page_size < entries.size()) {
        reply.headers.emplace_back("Link",
                                   fmt::format("<{}{}&cursor={}>; rel=\"next\"", origin(hub), tree, from + page_size));
      }
      return reply;
    }
    const std::string resolve = "/org/model/resolve/" + commit + "/";
    if (request.target.starts_with(resolve)) {
      const std::string path = request.target.substr(resolve.size());
      const auto file = std::find_if(files.begin(), files.end(), [&](const File& f) { return f.path == path; });
      if (file != files.end() && !file->lfs) return file_reply(request, path);
      if (file != files.end()) {
        return {.status = 302,
                .headers = {{"Location", origin(files_host) + "/blob/" + path + "?signature=x"}},
                .body = "Found. Go there."};
      }
    }
    return {.status = 404, .body = R"({"error":"Repository not found"})"};
  }
};

HubServer::HubServer(Tls tls) : impl_(std::make_unique<Impl>()) {
  if (tls == Tls::on) impl_->context = make_context(certificate());
  impl_->acceptors.emplace_back([this] { impl_->accept_on(impl_->hub, false); });
  impl_->acceptors.emplace_back([this] { impl_->accept_on(impl_->files_host, true); });
}

HubServer::~HubServer() {
  impl_->stop.request_stop();
  for (const Listener* listener : {&impl_->hub, &impl_->files_host}) ::shutdown(listener->socket.get(), SHUT_RDWR);
  impl_->acceptors.clear();
  const std::lock_guard lock(impl_->connections_mutex);
  for (auto& [fd, thread] : impl_->connections) ::shutdown(fd.get(), SHUT_RDWR);
  for (auto& [fd, thread] : impl_->connections) thread.join();
}

void HubServer::set_files(std::vector<File> files, std::string commit) {
  const std::lock_guard lock(impl_->mutex);
  impl_->files = std::move(files);
  impl_->commit = std::move(commit);
  impl_->entries.clear();
  for (const File& file : impl_->files) {
    Json entry = {
        {"type", "file"}, {"path", file.path}, {"size", file.content.size()}, {"oid", git_sha1_of(file.content)}};
    if (file.lfs) {
      entry["lfs"] = {{"oid", sha256_of(file.content)}, {"size", file.content.size()}, {"pointerSize", 135}};
    }
    impl_->entries[file.path] = std::move(entry);
  }
}

void HubServer::set_folder(const std::filesystem::path& folder) {
  std::vector<File> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string extension = entry.path().extension();
    files.push_back({.path = entry.path().filename(),
                     .content = std::string(std::istreambuf_iterator<char>(in), {}),
                     .lfs = extension == ".safetensors" || extension == ".gguf"});
  }
  set_files(std::move(files));
}

void HubServer::set_listing(std::string entries) {
  const std::lock_guard lock(impl_->mutex);
  impl_->listing = std::move(entries);
}
void HubServer::set_page_size(std::size_t files) {
  const std::lock_guard lock(impl_->mutex);
  impl_->page_size = files;
}
void HubServer::ignore_ranges() {
  const std::lock_guard lock(impl_->mutex);
  impl_->ranges = false;
}
void HubServer::set_bytes_per_second(std::uint64_t rate) {
  const std::lock_guard lock(impl_->mutex);
  impl_->rate = rate;
}
void HubServer::set_fault(Fault fault) {
  const std::lock_guard lock(impl_->fault_mutex);
  impl_->fault = std::move(fault);
}

std::string HubServer::url() const { return impl_->origin(impl_->hub); }
std::string HubServer::files_url() const { return impl_->origin(impl_->files_host); }
std::filesystem::path HubServer::certificate() const { return impl_->folder.path() / "certificate.pem"; }
std::vector<HubServer::Request> HubServer::requests() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->requests;
}
std::uint64_t HubServer::sent_bytes() const { return impl_->sent; }

}  // namespace escribano
