#include "api/resources/resource_v1/device_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxFirstAvailable = 8;
constexpr std::size_t kMaxTolerations = 16;
constexpr std::size_t kMaxExpression = 10u << 10;
constexpr std::size_t kMaxParameters = 10u << 10;
constexpr std::size_t kMaxDriverName = 63;

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

void default_request(Json& request) {
  default_text(request, "allocationMode", "ExactCount");
  if (string_or(request, "allocationMode") == "ExactCount") default_number(request, "count", 1);
  edit_items(request, "tolerations",
             [](Json& toleration) { default_text(toleration, "operator", "Equal"); });
}

void check_allocation(FieldErrors& errors, const Json& request, const FieldPath& path) {
  std::string mode = string_or(request, "allocationMode");
  std::int64_t count = int_or(request, "count");
  if (mode == "All") {
    if (count != 0) {
      errors.push_back(FieldError::invalid(path.child("count"), count,
                                           "must not be specified when allocationMode is 'All'"));
    }
  } else if (mode == "ExactCount") {
    if (count <= 0) {
      errors.push_back(
          FieldError::invalid(path.child("count"), count, "must be greater than zero"));
    }
  } else {
    errors.push_back(
        FieldError::not_supported(path.child("allocationMode"), mode, {"All", "ExactCount"}));
  }
}

void check_tolerations(FieldErrors& errors, const Json& request, const FieldPath& path) {
  check_count(errors, request, "tolerations", kMaxTolerations, path);
  const Json& tolerations = items(request, "tolerations");
  for (std::size_t i = 0; i < tolerations.size(); ++i) {
    FieldPath at = path.child("tolerations").index(i);
    check_name(errors, tolerations[i], "key", at, check_qualified_name);
    std::string op = string_or(tolerations[i], "operator");
    if (op == "Exists") {
      if (!string_or(tolerations[i], "value").empty()) {
        errors.push_back(FieldError::invalid(at.child("value"), string_or(tolerations[i], "value"),
                                             "must be empty for operator `Exists`"));
      }
    } else if (op == "Equal") {
      check_name(errors, tolerations[i], "value", at, check_label_value);
      check_required(errors, tolerations[i], "key", at);
    } else {
      errors.push_back(FieldError::not_supported(at.child("operator"), op, {"Equal", "Exists"}));
    }
    check_supported(errors, tolerations[i], "effect", at, {"NoExecute", "NoSchedule", "None"});
  }
}

// A request for one sort of device.
void check_exact_request(FieldErrors& errors, const Json& request, const FieldPath& path) {
  if (check_required(errors, request, "deviceClassName", path)) {
    check_name(errors, request, "deviceClassName", path, check_dns1123_subdomain);
  }
  check_device_selectors(errors, request, path);
  check_allocation(errors, request, path);
  check_tolerations(errors, request, path);
}

void check_label(FieldErrors& errors, const Json& object, const char* key, const FieldPath& path) {
  std::string text = string_or(object, key);
  if (text.empty()) {
    errors.push_back(FieldError::required(path.child(key), ""));
  } else {
    add_invalid(errors, path.child(key), text, check_dns1123_label(text));
  }
}

void check_request(FieldErrors& errors, const Json& request, const FieldPath& path) {
  check_label(errors, request, "name", path);
  const Json* exactly = member(request, "exactly");
  const Json& alternatives = items(request, "firstAvailable");
  if (!alternatives.empty()) {
    check_count(errors, request, "firstAvailable", kMaxFirstAvailable, path);
    UniqueNames names;
    for (std::size_t i = 0; i < alternatives.size(); ++i) {
      FieldPath at = path.child("firstAvailable").index(i);
      check_label(errors, alternatives[i], "name", at);
      check_exact_request(errors, alternatives[i], at);
      names.add(errors, string_or(alternatives[i], "name"), at);
    }
  }
  if (exactly) check_exact_request(errors, *exactly, path.child("exactly"));
  if (!exactly && alternatives.empty()) {
    errors.push_back(
        FieldError::required(path, "exactly one of `exactly` or `firstAvailable` is required"));
  } else if (exactly && !alternatives.empty()) {
    errors.push_back(FieldError::invalid(
        path, nullptr,
        "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"));
  }
}

// Names of requests, and `request/alternative` for those with several.
UniqueNames request_names(const Json& requests) {
  UniqueNames names;
  FieldErrors ignored;
  for (const Json& request : requests) {
    std::string name = string_or(request, "name");
    names.add(ignored, name, FieldPath());
    for (const Json& alternative : items(request, "firstAvailable")) {
      names.add(ignored, name + "/" + string_or(alternative, "name"), FieldPath());
    }
  }
  return names;
}

// object.requests names requests of the claim, each once.
void check_references(FieldErrors& errors, const Json& object, const UniqueNames& names,
                      const FieldPath& parent) {
  check_count(errors, object, "requests", kMaxDeviceItems, parent);
  UniqueNames seen;
  std::vector<std::string> given = strings(object, "requests");
  for (std::size_t i = 0; i < given.size(); ++i) {
    FieldPath at = parent.child("requests").index(i);
    if (!names.contains(given[i])) {
      errors.push_back(FieldError::invalid(
          at, given[i],
          "must be the name of a request in the claim or the name of a request and a "
          "subrequest separated by '/'"));
    }
    seen.add(errors, given[i], at);
  }
}

void check_constraint(FieldErrors& errors, const Json& constraint, const UniqueNames& names,
                      const FieldPath& path) {
  check_references(errors, constraint, names, path);
  bool match = has(constraint, "matchAttribute");
  bool distinct = has(constraint, "distinctAttribute");
  if (match == distinct) {
    errors.push_back(match ? FieldError::invalid(path, nullptr,
                                                 "exactly one of `matchAttribute` or "
                                                 "`distinctAttribute` is required, but multiple "
                                                 "fields are set")
                           : FieldError::required(path,
                                                  "exactly one of `matchAttribute` or "
                                                  "`distinctAttribute` is required"));
    return;
  }
  const char* key = match ? "matchAttribute" : "distinctAttribute";
  std::string name = string_or(constraint, key);
  auto slash = name.find('/');
  if (slash == std::string::npos) {
    errors.push_back(FieldError::invalid(path.child(key), name, "must include a domain"));
  } else {
    check_device_driver(errors, std::string_view(name).substr(0, slash), path.child(key));
  }
}

}  // namespace

void check_count(FieldErrors& errors, const Json& object, std::string_view key, std::size_t max,
                 const FieldPath& path) {
  std::size_t size = items(object, key).size();
  if (size > max) errors.push_back(FieldError::too_many(path.child(key), size, max));
}

void check_device_driver(FieldErrors& errors, std::string_view name, const FieldPath& path) {
  if (name.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  if (name.size() > kMaxDriverName) errors.push_back(FieldError::too_long(path, kMaxDriverName));
  add_invalid(errors, path, std::string(name), check_dns1123_subdomain(lower_case(name)));
}

void check_pool_name(FieldErrors& errors, std::string_view name, const FieldPath& path) {
  if (name.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  if (name.size() > kDns1123SubdomainMax) {
    errors.push_back(FieldError::too_long(path, kDns1123SubdomainMax));
  }
  for (std::string_view rest = name;;) {
    auto slash = rest.find('/');
    std::string_view part = rest.substr(0, slash);
    add_invalid(errors, path, std::string(part), check_dns1123_subdomain(part));
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void check_device_selectors(FieldErrors& errors, const Json& object, const FieldPath& path) {
  check_count(errors, object, "selectors", kMaxDeviceItems, path);
  const Json& selectors = items(object, "selectors");
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    FieldPath at = path.child("selectors").index(i).child("cel");
    const Json* cel = member(selectors[i], "cel");
    if (!cel) {
      errors.push_back(FieldError::required(at, ""));
      continue;
    }
    std::string expression = string_or(*cel, "expression");
    if (expression.empty()) {
      errors.push_back(FieldError::required(at.child("expression"), ""));
    } else if (expression.size() > kMaxExpression) {
      errors.push_back(FieldError::too_long(at.child("expression"), kMaxExpression));
    }
  }
}

void check_device_config(FieldErrors& errors, const Json& config, const FieldPath& parent) {
  FieldPath path = parent.child("opaque");
  const Json* opaque = member(config, "opaque");
  if (!opaque) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  check_device_driver(errors, string_or(*opaque, "driver"), path.child("driver"));
  const Json* parameters = member(*opaque, "parameters");
  FieldPath at = path.child("parameters");
  if (!parameters) {
    errors.push_back(FieldError::required(at, ""));
  } else if (!parameters->is_object()) {
    errors.push_back(
        FieldError::invalid(at, "<value omitted>", "parsed value must be a JSON object"));
  } else if (parameters->dump(-1, ' ', false, Json::error_handler_t::replace).size() >
             kMaxParameters) {
    errors.push_back(FieldError::too_long(at, kMaxParameters));
  }
}

void default_device_claim(Json& spec) {
  Json* devices = member(spec, "devices");
  if (!devices) return;
  edit_items(*devices, "requests", [](Json& request) {
    if (Json* exactly = member(request, "exactly")) default_request(*exactly);
    edit_items(request, "firstAvailable", default_request);
  });
}

void check_device_claim(FieldErrors& errors, const Json& spec, const FieldPath& parent) {
  const Json& devices = object_of(spec, "devices");
  FieldPath path = parent.child("devices");
  const Json& requests = items(devices, "requests");
  check_count(errors, devices, "requests", kMaxDeviceItems, path);
  UniqueNames unique;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    FieldPath at = path.child("requests").index(i);
    check_request(errors, requests[i], at);
    unique.add(errors, string_or(requests[i], "name"), at);
  }
  UniqueNames names = request_names(requests);
  check_count(errors, devices, "constraints", kMaxDeviceItems, path);
  const Json& constraints = items(devices, "constraints");
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    check_constraint(errors, constraints[i], names, path.child("constraints").index(i));
  }
  check_count(errors, devices, "config", kMaxDeviceItems, path);
  const Json& configs = items(devices, "config");
  for (std::size_t i = 0; i < configs.size(); ++i) {
    FieldPath at = path.child("config").index(i);
    check_references(errors, configs[i], names, at);
    check_device_config(errors, configs[i], at);
  }
}

}  // namespace moth::resources
