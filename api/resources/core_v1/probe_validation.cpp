#include <fmt/format.h>

#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::string_view kHeaderRegex = "[-A-Za-z0-9]+";

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return c == '-' || std::isalnum(static_cast<unsigned char>(c));
  });
}

void check_http_get(FieldErrors& errors, const Json& http, const FieldPath& path) {
  check_required(errors, http, "path", path);
  check_port_or_name(errors, http, "port", path);
  check_supported(errors, http, "scheme", path, {"HTTP", "HTTPS"}, true);
  for (const Json& header : items(http, "httpHeaders")) {
    std::string name = string_or(header, "name");
    if (is_header_name(name)) continue;
    errors.push_back(FieldError::invalid(
        path.child("httpHeaders"), name,
        regex_message("a valid HTTP header must consist of alphanumeric characters or '-'",
                      kHeaderRegex, {"X-Header-Name"})));
  }
}

void check_one_handler(FieldErrors& errors, std::string_view type, const Json& action,
                       std::int64_t grace, const FieldPath& path) {
  if (type == "exec") {
    if (items(action, "command").empty()) {
      errors.push_back(FieldError::required(path.child("command"), ""));
    }
  } else if (type == "httpGet") {
    check_http_get(errors, action, path);
  } else if (type == "tcpSocket") {
    check_port_or_name(errors, action, "port", path);
  } else if (type == "grpc") {
    std::int64_t port = int_or(action, "port");
    add_invalid(errors, path.child("port"), port, check_port_number(port));
  } else if (std::int64_t seconds = int_or(action, "seconds"); seconds < 0 || seconds > grace) {
    errors.push_back(FieldError::invalid(
        path, seconds,
        fmt::format("must be non-negative and less than terminationGracePeriodSeconds ({})",
                    grace)));
  }
}

void check_handler(FieldErrors& errors, const Json& handler, std::int64_t grace,
                   const FieldPath& path) {
  static constexpr std::array<std::string_view, 5> kTypes = {"exec", "httpGet", "tcpSocket", "grpc",
                                                             "sleep"};
  int count = 0;
  for (std::string_view type : kTypes) {
    const Json* action = member(handler, type);
    if (!action) continue;
    if (count++ > 0) {
      errors.push_back(
          FieldError::forbidden(path.child(type), "may not specify more than 1 handler type"));
    } else {
      check_one_handler(errors, type, *action, grace, path.child(type));
    }
  }
  if (count == 0) errors.push_back(FieldError::required(path, "must specify a handler type"));
}

void check_probe(FieldErrors& errors, const Json& probe, std::int64_t grace,
                 const FieldPath& path) {
  check_handler(errors, probe, grace, path);
  for (std::string_view key : {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
                               "successThreshold", "failureThreshold"}) {
    check_non_negative(errors, probe, key, path);
  }
  const Json* own_grace = member(probe, "terminationGracePeriodSeconds");
  if (own_grace && *own_grace <= 0) {
    errors.push_back(FieldError::invalid(path.child("terminationGracePeriodSeconds"), *own_grace,
                                         "must be greater than 0"));
  }
}

void check_success_threshold(FieldErrors& errors, const Json& probe, const FieldPath& path) {
  std::int64_t threshold = int_or(probe, "successThreshold", 1);
  if (threshold != 1) {
    errors.push_back(FieldError::invalid(path.child("successThreshold"), threshold, "must be 1"));
  }
}

}  // namespace

void check_lifecycle(FieldErrors& errors, const Json& container, const ContainerContext& context,
                     const FieldPath& path) {
  const Json* lifecycle = member(container, "lifecycle");
  if (!lifecycle) return;
  FieldPath at = path.child("lifecycle");
  for (std::string_view hook : {"postStart", "preStop"}) {
    if (const Json* handler = member(*lifecycle, hook)) {
      check_handler(errors, *handler, context.grace_seconds, at.child(hook));
    }
  }
  std::string signal = string_or(*lifecycle, "stopSignal");
  if (signal.empty()) return;
  const Json* os = find_path(*context.spec, "os", "name");
  if (!os || !os->is_string()) {
    errors.push_back(FieldError::forbidden(
        at.child("stopSignal"), "may not be set for containers with empty `spec.os.name`"));
  } else if (!signal.starts_with("SIG")) {
    errors.push_back(FieldError::invalid(at.child("stopSignal"), signal, "must be a known signal"));
  }
}

void check_probes(FieldErrors& errors, const Json& container, const ContainerContext& context,
                  const FieldPath& path) {
  for (std::string_view key : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    const Json* probe = member(container, key);
    if (!probe) continue;
    FieldPath at = path.child(key);
    check_probe(errors, *probe, context.grace_seconds, at);
    if (key != "readinessProbe") {
      check_success_threshold(errors, *probe, at);
    } else if (const Json* grace = member(*probe, "terminationGracePeriodSeconds")) {
      errors.push_back(FieldError::invalid(at.child("terminationGracePeriodSeconds"), *grace,
                                           "must not be set for readinessProbes"));
    }
  }
}

}  // namespace moth::resources
