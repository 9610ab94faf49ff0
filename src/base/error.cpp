#include "base/error.h"

namespace escribano {

std::string_view errc_name(Errc code) noexcept {
  switch (code) {
    case Errc::invalid_argument: return "invalid_argument";
    case Errc::not_found: return "not_found";
    case Errc::not_permitted: return "not_permitted";
    case Errc::io_error: return "io_error";
    case Errc::unsupported: return "unsupported";
    case Errc::corrupt: return "corrupt";
    case Errc::too_large: return "too_large";
    case Errc::model_invalid: return "model_invalid";
    case Errc::no_vision: return "no_vision";
    case Errc::context_full: return "context_full";
    case Errc::out_of_memory: return "out_of_memory";
    case Errc::inference_failed: return "inference_failed";
    case Errc::unparsed: return "unparsed";
    case Errc::cancelled: return "cancelled";
    case Errc::deadline_exceeded: return "deadline_exceeded";
    case Errc::overloaded: return "overloaded";
    case Errc::already_running: return "already_running";
    case Errc::bridge_unavailable: return "bridge_unavailable";
    case Errc::bridge_died: return "bridge_died";
    case Errc::protocol_error: return "protocol_error";
    case Errc::backend_error: return "backend_error";
    case Errc::internal: return "internal";
  }
  return "internal";
}

std::optional<Errc> errc_from_name(std::string_view name) noexcept {
  for (int code = 0; code <= static_cast<int>(Errc::internal); ++code) {
    if (errc_name(static_cast<Errc>(code)) == name) return static_cast<Errc>(code);
  }
  return std::nullopt;
}

}  // namespace escribano
