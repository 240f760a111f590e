#include "api/base/error.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "api/base/json.h"

namespace moth {
namespace {

struct ReasonRow {
  Reason reason;
  int code;
  std::string_view text;
};

constexpr std::array kReasons = {
    ReasonRow{Reason::kBadRequest, 400, "BadRequest"},
    ReasonRow{Reason::kUnauthorized, 401, "Unauthorized"},
    ReasonRow{Reason::kForbidden, 403, "Forbidden"},
    ReasonRow{Reason::kNotFound, 404, "NotFound"},
    ReasonRow{Reason::kMethodNotAllowed, 405, "MethodNotAllowed"},
    ReasonRow{Reason::kNotAcceptable, 406, "NotAcceptable"},
    ReasonRow{Reason::kAlreadyExists, 409, "AlreadyExists"},
    ReasonRow{Reason::kConflict, 409, "Conflict"},
    ReasonRow{Reason::kGone, 410, "Gone"},
    ReasonRow{Reason::kExpired, 410, "Expired"},
    ReasonRow{Reason::kRequestEntityTooLarge, 413, "RequestEntityTooLarge"},
    ReasonRow{Reason::kUnsupportedMediaType, 415, "UnsupportedMediaType"},
    ReasonRow{Reason::kInvalid, 422, "Invalid"},
    ReasonRow{Reason::kTooManyRequests, 429, "TooManyRequests"},
    ReasonRow{Reason::kInternalError, 500, "InternalError"},
    ReasonRow{Reason::kServiceUnavailable, 503, "ServiceUnavailable"},
    ReasonRow{Reason::kTimeout, 504, "Timeout"},
};

const ReasonRow& row(Reason reason) {
  for (const ReasonRow& candidate : kReasons) {
    if (candidate.reason == reason) return candidate;
  }
  return kReasons[14];
}

Error about_object(Reason reason, std::string_view resource, std::string_view name) {
  Error error;
  error.reason = reason;
  std::tie(error.kind, error.group) = split_resource(resource);
  error.name = name;
  return error;
}

}  // namespace

int http_code(Reason reason) {
  return row(reason).code;
}
std::string_view to_string(Reason reason) {
  return row(reason).text;
}

std::pair<std::string, std::string> split_resource(std::string_view resource) {
  auto dot = resource.find('.');
  if (dot == std::string_view::npos) return {std::string(resource), ""};
  return {std::string(resource.substr(0, dot)), std::string(resource.substr(dot + 1))};
}

Error& Error::with_context(std::string_view what) {
  message = fmt::format("{}: {}", what, message);
  return *this;
}

Json Error::to_status() const {
  Json status = {
      {"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
      {"status", "Failure"}, {"message", message}, {"reason", std::string(to_string(reason))},
      {"code", code()}};
  if (!continue_token.empty()) status["metadata"]["continue"] = continue_token;
  Json details = Json::object();
  if (!name.empty()) details["name"] = name;
  if (!group.empty()) details["group"] = group;
  if (!kind.empty()) details["kind"] = kind;
  if (!uid.empty()) details["uid"] = uid;
  if (retry_after_seconds > 0) details["retryAfterSeconds"] = retry_after_seconds;
  if (!causes.empty()) {
    Json list = Json::array();
    for (const Cause& cause : causes) {
      Json entry = Json::object();
      if (!cause.reason.empty()) entry["reason"] = cause.reason;
      if (!cause.message.empty()) entry["message"] = cause.message;
      if (!cause.field.empty()) entry["field"] = cause.field;
      list.push_back(std::move(entry));
    }
    details["causes"] = std::move(list);
  }
  if (!details.empty()) status["details"] = std::move(details);
  return status;
}

Error Error::of(Reason reason, std::string message) {
  Error error;
  error.reason = reason;
  error.message = std::move(message);
  return error;
}

Error Error::bad_request(std::string message) {
  return of(Reason::kBadRequest, std::move(message));
}
Error Error::unauthorized() {
  return of(Reason::kUnauthorized, "Unauthorized");
}
Error Error::expired(std::string message) {
  return of(Reason::kExpired, std::move(message));
}

Error Error::unavailable(std::string message) {
  return of(Reason::kServiceUnavailable, std::move(message));
}

Error Error::forbidden(std::string_view resource, std::string_view name, std::string_view why) {
  Error error = about_object(Reason::kForbidden, resource, name);
  error.message = name.empty() ? fmt::format("{} is forbidden: {}", resource, why)
                               : fmt::format("{} \"{}\" is forbidden: {}", resource, name, why);
  return error;
}

Error Error::not_found(std::string_view resource, std::string_view name) {
  Error error = about_object(Reason::kNotFound, resource, name);
  error.message = fmt::format("{} \"{}\" not found", resource, name);
  return error;
}

Error Error::already_exists(std::string_view resource, std::string_view name) {
  Error error = about_object(Reason::kAlreadyExists, resource, name);
  error.message = fmt::format("{} \"{}\" already exists", resource, name);
  return error;
}

Error Error::conflict(std::string_view resource, std::string_view name, std::string_view why) {
  Error error = about_object(Reason::kConflict, resource, name);
  error.message =
      fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", resource, name, why);
  return error;
}

Error Error::modified(std::string_view resource, std::string_view name) {
  return conflict(resource, name,
                  "the object has been modified; please apply your changes to the latest version "
                  "and try again");
}

Error Error::internal(std::string why) {
  return of(Reason::kInternalError, "Internal error occurred: " + why);
}

Error Error::timeout(std::string why) {
  return of(Reason::kTimeout, "Timeout: " + why);
}

Error Error::too_many_requests(std::string message, std::int32_t retry_after_seconds) {
  Error error = of(Reason::kTooManyRequests, std::move(message));
  error.retry_after_seconds = retry_after_seconds;
  return error;
}

Error Error::from_errno(int error_number, std::string_view what) {
  Error error;
  error.os_errno = error_number;
  if (error_number == ENOENT) error.reason = Reason::kNotFound;
  if (error_number == EACCES || error_number == EPERM) error.reason = Reason::kForbidden;
  std::array<char, 256> buffer{};
  error.message =
      fmt::format("{}: {}", what, ::strerror_r(error_number, buffer.data(), buffer.size()));
  return error;
}

Error Error::from_status(const Json& status) {
  Error error;
  std::string reason = string_or(status, "reason");
  auto code = static_cast<int>(int_or(status, "code"));
  bool known = false;
  for (const ReasonRow& candidate : kReasons) {
    if (candidate.text == reason) {
      error.reason = candidate.reason;
      known = true;
    }
  }
  for (const ReasonRow& candidate : kReasons) {
    if (!known && candidate.code == code) {
      error.reason = candidate.reason;
      known = true;
    }
  }
  error.message = string_or(status, "message");
  if (const Json* details = find_member(status, "details")) {
    error.name = string_or(*details, "name");
    error.group = string_or(*details, "group");
    error.kind = string_or(*details, "kind");
    error.uid = string_or(*details, "uid");
    error.retry_after_seconds = static_cast<std::int32_t>(int_or(*details, "retryAfterSeconds"));
    if (const Json* causes = find_member(*details, "causes"); causes && causes->is_array()) {
      for (const Json& cause : *causes) {
        error.causes.push_back(
            {string_or(cause, "reason"), string_or(cause, "message"), string_or(cause, "field")});
      }
    }
  }
  return error;
}

}  // namespace moth
