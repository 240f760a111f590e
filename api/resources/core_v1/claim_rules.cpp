#include "api/resources/core_v1/claim_rules.h"

#include <algorithm>
#include <array>

#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

const std::vector<std::string>& access_modes() {
  static const std::vector<std::string> kModes = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                                  "ReadWriteOncePod"};
  return kModes;
}

void check_storage_request(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  FieldPath at = path.child("resources").key("storage");
  const Json* wanted = find_path(spec, "resources", "requests", "storage");
  if (!wanted) {
    errors.push_back(FieldError::required(at, ""));
    return;
  }
  auto quantity = Quantity::from_json(*wanted);
  if (quantity && quantity->sign() <= 0) {
    errors.push_back(FieldError::invalid(at, quantity->to_string(), "must be greater than zero"));
  }
}

void check_data_source(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_required(errors, source, "name", path);
  check_required(errors, source, "kind", path);
  std::string kind = string_or(source, "kind");
  if (string_or(source, "apiGroup").empty()) {
    if (kind != "PersistentVolumeClaim") {
      errors.push_back(FieldError::invalid(
          path, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
    }
  } else {
    check_name(errors, source, "apiGroup", path, check_dns1123_subdomain);
  }
}

void check_data_sources(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* source = member(spec, "dataSource");
  const Json* ref = member(spec, "dataSourceRef");
  if (source) check_data_source(errors, *source, path.child("dataSource"));
  if (!ref) return;
  check_data_source(errors, *ref, path.child("dataSourceRef"));
  check_name(errors, *ref, "namespace", path.child("dataSourceRef"), check_dns1123_label);
  if (!source) return;
  std::string at = path.child("dataSource").to_string();
  if (!string_or(*ref, "namespace").empty()) {
    errors.push_back(FieldError::invalid(
        path, at, "may not be specified when dataSourceRef.namespace is specified"));
    return;
  }
  for (const char* key : {"apiGroup", "kind", "name"}) {
    if (string_or(*source, key) == string_or(*ref, key)) continue;
    errors.push_back(FieldError::invalid(path, at, "must match dataSourceRef"));
    return;
  }
}

}  // namespace

void set_claim_defaults(Json& claim) {
  Json& spec = object_at(claim, "spec");
  default_text(spec, "volumeMode", "Filesystem");
  if (Json* resources = member(spec, "resources")) {
    round_resource_list(member(*resources, "requests"));
    round_resource_list(member(*resources, "limits"));
  }
}

void check_access_modes(FieldErrors& errors, const Json& spec, const FieldPath& path,
                        std::string required_detail) {
  FieldPath at = path.child("accessModes");
  std::vector<std::string> modes = strings(spec, "accessModes");
  if (modes.empty()) errors.push_back(FieldError::required(at, std::move(required_detail)));
  bool alone = false, shared = false;
  for (const std::string& mode : modes) {
    bool known =
        std::find(access_modes().begin(), access_modes().end(), mode) != access_modes().end();
    if (!known) errors.push_back(FieldError::not_supported(at, mode, access_modes()));
    if (mode == "ReadWriteOncePod") {
      alone = true;
    } else if (known) {
      shared = true;
    }
  }
  if (alone && shared) {
    errors.push_back(
        FieldError::forbidden(at, "may not use ReadWriteOncePod with other access modes"));
  }
}

FieldErrors validate_claim_spec(const Json& spec, const FieldPath& path) {
  FieldErrors errors;
  constexpr const char* kModesNeeded = "at least 1 access mode is required";
  bool has_modes = !strings(spec, "accessModes").empty();
  if (!has_modes) check_access_modes(errors, spec, path, kModesNeeded);
  if (const Json* selector = member(spec, "selector")) {
    append(errors, validate_label_selector(*selector, path.child("selector")));
  }
  if (has_modes) check_access_modes(errors, spec, path, kModesNeeded);
  check_storage_request(errors, spec, path);
  check_name(errors, spec, "storageClassName", path, check_dns1123_subdomain);
  check_supported(errors, spec, "volumeMode", path, {"Block", "Filesystem"});
  check_data_sources(errors, spec, path);
  check_name(errors, spec, "volumeAttributesClassName", path, check_dns1123_subdomain);
  return errors;
}

std::string access_modes_cell(const Json& owner) {
  struct Short {
    std::string_view name;
    const char* text;
  };
  static constexpr std::array kShort = {Short{"ReadWriteOnce", "RWO"}, Short{"ReadOnlyMany", "ROX"},
                                        Short{"ReadWriteMany", "RWX"},
                                        Short{"ReadWriteOncePod", "RWOP"}};
  std::vector<std::string> given = strings(owner, "accessModes");
  std::vector<std::string> parts;
  for (const Short& mode : kShort) {
    if (std::find(given.begin(), given.end(), mode.name) != given.end()) {
      parts.emplace_back(mode.text);
    }
  }
  return join(parts, ",");
}

std::string phase_cell(const Json& object) {
  if (has(object_of(object, "metadata"), "deletionTimestamp")) return "Terminating";
  return string_or(object_of(object, "status"), "phase");
}

std::string or_unset(const Json& owner, const char* key) {
  return has(owner, key) ? string_or(owner, key) : "<unset>";
}

}  // namespace moth::resources
