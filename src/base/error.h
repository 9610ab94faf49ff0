#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <tl/expected.hpp>

namespace escribano {

// What went wrong, as a closed set. The names (errc_name) are also the wire and log names, so a value is never renamed.
enum class Errc {
  invalid_argument,    // a value given by the user or a client is out of range or of the wrong type
  not_found,           // a file, folder, model or record does not exist
  not_permitted,       // the operating system refused
  io_error,            // reading or writing failed midway, disk full
  unsupported,         // well-formed, but of a kind we do not handle
  corrupt,             // contents contradict their own format
  too_large,           // beyond a limit that protects memory or time
  model_invalid,       // a model file or folder that cannot be used
  no_vision,           // a model without a vision tower was asked to look at an image
  context_full,        // prompt and budget do not fit the model's context
  out_of_memory,       // the machine cannot hold what was asked for
  inference_failed,    // the model runtime reported a failure
  unparsed,            // the model's answer has not the form that was asked for
  cancelled,           // stopped by the caller
  deadline_exceeded,   // the caller's time limit passed
  overloaded,          // the queue is full; nothing was started
  already_running,     // another process holds what only one may hold
  bridge_unavailable,  // no bridge could be started or joined
  bridge_died,         // the bridge went away during a request
  protocol_error,      // a peer sent something outside the protocol
  backend_error,       // a model server answered with an error
  internal,            // a broken invariant of ours
};

// The wire name, e.g. "not_found". Static storage.
std::string_view errc_name(Errc code) noexcept;
// The code with that wire name, if there is one.
std::optional<Errc> errc_from_name(std::string_view name) noexcept;

// One failure: `message` is a sentence for people that names the thing and the reason.
struct Error {
  Errc code = Errc::internal;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

// A value or an Error; crosses every library border and thread in place of exceptions.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Status = Result<void>;

// return fail(Errc::not_found, "{} does not exist", path);
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace escribano

// ESCRIBANO_TRY(auto x, make_x()); returns the error of make_x() from the enclosing function, or binds its value.
#define ESCRIBANO_CONCAT_(a, b) a##b
#define ESCRIBANO_CONCAT(a, b) ESCRIBANO_CONCAT_(a, b)
#define ESCRIBANO_TRY_(tmp, decl, expr)                       \
  auto tmp = (expr);                                          \
  if (!tmp) return ::escribano::fail(std::move(tmp).error()); \
  decl = *std::move(tmp)
#define ESCRIBANO_TRY(decl, expr) ESCRIBANO_TRY_(ESCRIBANO_CONCAT(try_result_, __LINE__), decl, expr)
// The same for a Status.
#define ESCRIBANO_CHECK(expr)                                                                                 \
  do {                                                                                                        \
    if (auto check_result = (expr); !check_result) return ::escribano::fail(std::move(check_result).error()); \
  } while (false)
