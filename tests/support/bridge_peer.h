#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace escribano {

// A client of a bridge that knows nothing but sockets and JSON: what is tested is not used to test itself.
class BridgePeer {
 public:
  static constexpr std::chrono::seconds kDeadline{20};

  // Connects; throws std::runtime_error where nobody answers.
  explicit BridgePeer(const std::filesystem::path& socket);

  // Bytes as they are. False once the bridge has closed.
  bool send_bytes(std::string_view bytes);
  bool send(const nlohmann::json& request) { return send_bytes(request.dump() + "\n"); }
  // No more requests from us; answers are still read.
  void end_input();
  // The next line. Throws where none comes in time or the bridge closes.
  std::string line(std::chrono::milliseconds deadline = kDeadline);
  nlohmann::json answer(std::chrono::milliseconds deadline = kDeadline) {
    return nlohmann::json::parse(line(deadline));
  }
  // All answers to a request, up to and with its last line. Answers to others that come between are an error.
  std::vector<nlohmann::json> answers(const nlohmann::json& request);
  // Whether the bridge closes the connection within the deadline; what it sends until then is dropped.
  bool closed(std::chrono::milliseconds deadline = kDeadline);
  int fd() const { return socket_.get(); }
  // For answers() of long requests.
  void set_deadline(std::chrono::milliseconds deadline) { deadline_ = deadline; }

 private:
  FileDescriptor socket_;
  std::string received_;
  std::chrono::milliseconds deadline_ = kDeadline;
};

// Asks `done` until it says yes. False when that takes too long.
template <class Condition>
bool eventually(Condition done, std::chrono::milliseconds deadline = BridgePeer::kDeadline);

bool eventually_true(const std::function<bool()>& done, std::chrono::milliseconds deadline);

template <class Condition>
bool eventually(Condition done, std::chrono::milliseconds deadline) {
  return eventually_true(done, deadline);
}

}  // namespace escribano
