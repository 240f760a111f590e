#pragma once
// Error: what every fallible function of the project returns on failure. It maps one to one to a
// Kubernetes Status (code, reason, message, details.causes), so an error made deep inside the node
// can be served to kubectl as it is. Value type, free of threads.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"

namespace moth {

// The `reason` of a Status. Names and HTTP codes are upstream's (apimachinery StatusReason).
enum class Reason {
  kBadRequest,             // 400
  kUnauthorized,           // 401
  kForbidden,              // 403
  kNotFound,               // 404
  kMethodNotAllowed,       // 405
  kNotAcceptable,          // 406
  kAlreadyExists,          // 409
  kConflict,               // 409
  kGone,                   // 410
  kExpired,                // 410
  kRequestEntityTooLarge,  // 413
  kUnsupportedMediaType,   // 415
  kInvalid,                // 422
  kTooManyRequests,        // 429
  kInternalError,          // 500
  kServiceUnavailable,     // 503
  kTimeout,                // 504
};

int http_code(Reason reason);
std::string_view to_string(Reason reason);

// One entry of details.causes. `reason` is e.g. FieldValueRequired; `field` a path as
// spec.containers[0].image.
struct Cause {
  std::string reason;
  std::string message;
  std::string field;
};

struct Error {
  Reason reason = Reason::kInternalError;
  std::string message;
  // details: `kind` is the plural resource for 403/404/409 and the Kind for 422.
  std::string name, group, kind, uid;
  std::vector<Cause> causes;
  std::int32_t retry_after_seconds = 0;  // 0: none
  int os_errno = 0;                      // errno for errors of system calls, else 0
  std::string continue_token;            // metadata.continue of a 410 on a list, else empty

  int code() const { return http_code(reason); }
  // "what: message"; the reason stays.
  Error& with_context(std::string_view what);
  Json to_status() const;  // the whole Status object

  static Error bad_request(std::string message);
  static Error unauthorized();
  // `resource` as pods or deployments.apps; message as upstream's.
  static Error forbidden(std::string_view resource, std::string_view name, std::string_view why);
  static Error not_found(std::string_view resource, std::string_view name);
  static Error already_exists(std::string_view resource, std::string_view name);
  static Error conflict(std::string_view resource, std::string_view name, std::string_view why);
  // The conflict of a stale resourceVersion.
  static Error modified(std::string_view resource, std::string_view name);
  static Error expired(std::string message);
  static Error internal(std::string why);  // "Internal error occurred: why"
  static Error unavailable(std::string message);
  static Error timeout(std::string why);
  static Error too_many_requests(std::string message, std::int32_t retry_after_seconds);
  static Error of(Reason reason, std::string message);
  // "what: strerror" with os_errno set. Reason NotFound for ENOENT, Forbidden for EACCES/EPERM,
  // else InternalError; the message carries no "Internal error occurred".
  static Error from_errno(int error_number, std::string_view what);
  // Reads a Status object back (a client's view of a server's answer).
  static Error from_status(const Json& status);
};

// Splits deployments.apps into {deployments, apps}.
std::pair<std::string, std::string> split_resource(std::string_view resource);

}  // namespace moth
