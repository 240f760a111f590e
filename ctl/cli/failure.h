#pragma once
// Failure: an Error and who says so, which decides how it is told to the user: "Error from server
// (NotFound): ...", "The connection to the server ... was refused", "error: ...".
#include <string>
#include <string_view>
#include <utility>

#include "api/base/result.h"
#include "api/client/http/rest_client.h"

namespace moth::ctl {

struct Failure {
  enum class Origin { kLocal, kNetwork, kServer };
  Error error;
  Origin origin = Origin::kLocal;
  int exit_code = 1;

  Failure() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): errors of Result functions are local ones.
  Failure(Error from) : error(std::move(from)) {}
  Failure(Error from, Origin where) : error(std::move(from)), origin(where) {}
  explicit Failure(client::RestError from)
      : error(std::move(from.error)),
        origin(from.from_server ? Origin::kServer : Origin::kNetwork) {}

  // `error when creating "web.yaml": message`; the reason stays.
  Failure& with_context(std::string_view what) {
    error.with_context(what);
    return *this;
  }
  bool is(Reason reason) const { return origin == Origin::kServer && error.reason == reason; }
};

template <class T = void>
using Outcome = tl::expected<T, Failure>;

// A local error with a text that is ready for the user.
inline tl::unexpected<Failure> refuse(std::string message) {
  return tl::unexpected<Failure>(Failure(Error::bad_request(std::move(message))));
}

// What is printed on stderr, newline included; `server` is the address that was asked.
std::string failure_text(const Failure& failure, std::string_view server);

}  // namespace moth::ctl

namespace moth {
// For MOTH_TRY and MOTH_ASSIGN on Outcomes.
inline tl::unexpected<ctl::Failure> fail(ctl::Failure failure) {
  return tl::unexpected<ctl::Failure>(std::move(failure));
}
}  // namespace moth
