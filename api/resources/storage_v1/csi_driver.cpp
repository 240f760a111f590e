#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/storage_v1/rows.h"
#include "api/resources/storage_v1/storage_checks.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kShortestToken = 600;
constexpr std::int64_t kLongestToken = std::int64_t{1} << 32;
constexpr std::int64_t kShortestPeriod = 10;

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "attachRequired", true);
  default_to(spec, "podInfoOnMount", false);
  default_to(spec, "storageCapacity", false);
  default_to(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
  if (items(spec, "volumeLifecycleModes").empty()) {
    spec["volumeLifecycleModes"] = Json::array({"Persistent"});
  }
  default_to(spec, "requiresRepublish", false);
  default_to(spec, "seLinuxMount", false);
}

void check_token_requests(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& requests = items(spec, "tokenRequests");
  UniqueNames audiences;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    FieldPath at = path.child("tokenRequests").index(i);
    if (!audiences.add(errors, string_or(requests[i], "audience"), at.child("audience"))) continue;
    const Json* seconds = member(requests[i], "expirationSeconds");
    if (!seconds || !seconds->is_number_integer()) continue;
    if (*seconds < kShortestToken) {
      errors.push_back(FieldError::invalid(at.child("expirationSeconds"), *seconds,
                                           "may not specify a duration less than 10 minutes"));
    }
    if (*seconds > kLongestToken) {
      errors.push_back(FieldError::invalid(at.child("expirationSeconds"), *seconds,
                                           "may not specify a duration larger than 2^32 seconds"));
    }
  }
}

void check_update_period(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* period = member(spec, "nodeAllocatableUpdatePeriodSeconds");
  if (!period || !period->is_number_integer() || *period >= kShortestPeriod) return;
  errors.push_back(FieldError::invalid(path.child("nodeAllocatableUpdatePeriodSeconds"), *period,
                                       "must be greater than or equal to 10 seconds"));
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  check_driver_name(errors, name_cell(object), FieldPath("name"));
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  // Upstream's paths say attachedRequired.
  if (!has(spec, "attachRequired")) {
    errors.push_back(FieldError::required(path.child("attachedRequired"), ""));
  }
  for (const char* key : {"podInfoOnMount", "storageCapacity"}) {
    check_required(errors, spec, key, path);
  }
  check_supported(errors, spec, "fsGroupPolicy", path, {"File", "None", "ReadWriteOnceWithFSType"},
                  true);
  check_token_requests(errors, spec, path);
  for (const std::string& mode : strings(spec, "volumeLifecycleModes")) {
    if (mode != "Persistent" && mode != "Ephemeral") {
      errors.push_back(FieldError::not_supported(path.child("volumeLifecycleModes"), mode,
                                                 {"Persistent", "Ephemeral"}));
    }
  }
  check_required(errors, spec, "seLinuxMount", path);
  check_update_period(errors, spec, path);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  const Json& before = object_of(old, "spec");
  FieldPath path("spec");
  if (bool_or(spec, "attachRequired") != bool_or(before, "attachRequired")) {
    errors.push_back(FieldError::invalid(path.child("attachedRequired"),
                                         bool_or(spec, "attachRequired"), "field is immutable"));
  }
  check_immutable(errors, spec, before, "volumeLifecycleModes", path);
  check_token_requests(errors, spec, path);
  check_update_period(errors, spec, path);
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  std::vector<std::string> audiences;
  for (const Json& request : items(spec, "tokenRequests")) {
    audiences.push_back(string_or(request, "audience"));
  }
  return Json::array({name_cell(object), bool_or(spec, "attachRequired", true),
                      bool_or(spec, "podInfoOnMount"), bool_or(spec, "storageCapacity"),
                      has(spec, "tokenRequests") ? join(audiences, ",") : std::string("<unset>"),
                      bool_or(spec, "requiresRepublish"),
                      or_none(join(strings(spec, "volumeLifecycleModes"), ",")),
                      age_cell(object, context)});
}

}  // namespace

ResourceDef csi_drivers() {
  ResourceDef row = row_of("storage.k8s.io", "v1", "csidrivers", "csidriver", "CSIDriver",
                           "storage.v1.CSIDriver");
  row.namespaced = false;
  row.allow_unconditional_update = false;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns(
      {column("Name", "Name of the driver"),
       column("AttachRequired", "Whether its volumes are attached to nodes first", "boolean"),
       column("PodInfoOnMount", "Whether it is told of the pod that mounts", "boolean"),
       column("StorageCapacity", "Whether the scheduler minds its free capacity", "boolean"),
       column("TokenRequests", "Audiences of the tokens that it is given"),
       column("RequiresRepublish", "Whether volumes are published again and again", "boolean"),
       column("Modes", "Sorts of volumes that it can make"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
