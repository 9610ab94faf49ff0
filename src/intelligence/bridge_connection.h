#pragma once

#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "intelligence/call_limits.h"
#include "protocol/answer.h"
#include "protocol/line_framer.h"
#include "protocol/request.h"

namespace escribano {

// One connection to a bridge, for one request after the other. For one thread at a time.
class BridgeConnection {
 public:
  explicit BridgeConnection(FileDescriptor socket) : socket_(std::move(socket)) {}

  // Sends a request under an id of its own. Fails as encode_checked(), with bridge_died where the bridge is gone, and as
  // `limits`.
  Status send(protocol::Request request, const CallLimits& limits);

  // The next answer to the last request. Fails with bridge_died where the connection ends first, with protocol_error for
  // what is no answer, or one to another request, and as `limits`.
  Result<protocol::DecodedAnswer> receive(const CallLimits& limits);

  // The one answer to a request that is answered by one line. An error is returned as an error.
  Result<protocol::DecodedAnswer> ask(protocol::Request request, const CallLimits& limits);

  // The same for a conversation.
  Result<protocol::TextAnswer> ask_text(protocol::Infer request, const CallLimits& limits);

  // Whether a byte has ever come.
  bool heard() const noexcept { return heard_; }

 private:
  // Reads what is there. False where the bridge has closed the connection.
  Result<bool> read_some();

  FileDescriptor socket_;
  protocol::LineFramer framer_;
  unsigned id_ = 0;  // of the last request
  bool heard_ = false;
  bool closed_ = false;
};

}  // namespace escribano
