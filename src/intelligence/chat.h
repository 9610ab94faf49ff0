#pragma once

// A conversation of one turn with a model server, and what differs between servers: the wire form. Private to this folder.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "http/http.h"

namespace escribano {

struct ChatImage {
  std::string mime_type;  // image/jpeg, image/png, image/webp
  std::string base64;
};
// A picture, and what introduces it where there are several.
struct ChatPicture {
  std::string label;
  ChatImage image;
};

// One turn of the user: pictures in order, then what to do with them.
struct ChatRequest {
  std::vector<ChatPicture> pictures;
  std::string text;
  int max_tokens = 0;
  float temperature = 0;
  bool think = false;
  bool plain = false;  // without the fields that some servers refuse
};

struct ChatAnswer {
  std::string text;  // as the model wrote it
  int prompt_tokens = 0;
  int generation_tokens = 0;
  std::string finish_reason = "stop";  // stop or length
  double load_ms = 0;                  // times as the server says them; 0 where it does not
  double prefill_ms = 0;
  double decode_ms = 0;
};

// Reads one 2xx answer as it arrives.
class ChatReader {
 public:
  virtual ~ChatReader() = default;
  // Fails with protocol_error (not the wire form) or backend_error, context_full (the server says what went wrong).
  virtual Status feed(std::string_view bytes) = 0;
  // After the last byte. Fails with protocol_error where the answer is not complete.
  virtual Result<ChatAnswer> finish() = 0;
};

// How one kind of server is asked. Stateless but for what it learns about the server; any thread.
class ChatWire {
 public:
  virtual ~ChatWire() = default;
  virtual HttpRequest request(const ChatRequest& chat) const = 0;
  virtual std::unique_ptr<ChatReader> reader() const = 0;
  // A refusal: backend_error (or context_full) with what the server said.
  virtual Error refusal(int status, std::string_view body) const = 0;
  // A server refused a request, and takes it with `plain` set: from now on every request is of that kind.
  virtual void learn_plain() const = 0;
};

// Cuts an answer into lines, without their ends. A line is given out once it is complete.
class AnswerLines {
 public:
  // Calls `take` for each line that `bytes` complete; its first failure is returned.
  template <class Take>
  Status feed(std::string_view bytes, const Take& take) {
    pending_.append(bytes);
    std::size_t begin = 0;
    Status status;
    for (std::size_t end = pending_.find('\n', scanned_); end != std::string::npos && status;
         end = pending_.find('\n', begin)) {
      std::string_view line(pending_.data() + begin, end - begin);
      if (line.ends_with('\r')) line.remove_suffix(1);
      begin = end + 1;
      status = take(line);
    }
    pending_.erase(0, begin);
    scanned_ = pending_.size();
    return status;
  }
  // What stands behind the last line break.
  const std::string& rest() const noexcept { return pending_; }

 private:
  std::string pending_;
  std::size_t scanned_ = 0;  // no line break in front of it
};

// What a server said about a failure, fit for a message: from {"error":"..."}, {"error":{"message":"..."}},
// {"message":"..."} or {"detail":"..."}, else the text itself; one line, bounded. "" where it said nothing.
std::string server_message(std::string_view body);

// Whether a refusal says that the prompt does not fit the context.
bool says_context_full(std::string_view message);

}  // namespace escribano
