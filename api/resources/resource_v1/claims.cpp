#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/resource_v1/device_checks.h"
#include "api/resources/resource_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxConsumers = 256;

FieldErrors validate_claim(const Json& object) {
  FieldErrors errors;
  check_device_claim(errors, object_of(object, "spec"), FieldPath("spec"));
  return errors;
}

FieldErrors validate_claim_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_immutable(errors, object, old, "spec", FieldPath());
  return errors;
}

void check_results(FieldErrors& errors, const Json& allocation, const FieldPath& parent) {
  FieldPath path = parent.child("devices");
  const Json& devices = object_of(allocation, "devices");
  check_count(errors, devices, "results", kMaxDeviceItems, path);
  const Json& results = items(devices, "results");
  for (std::size_t i = 0; i < results.size(); ++i) {
    FieldPath at = path.child("results").index(i);
    check_required(errors, results[i], "request", at);
    check_device_driver(errors, string_or(results[i], "driver"), at.child("driver"));
    check_pool_name(errors, string_or(results[i], "pool"), at.child("pool"));
    check_required(errors, results[i], "device", at);
  }
}

void check_consumers(FieldErrors& errors, const Json& status, const FieldPath& parent) {
  check_count(errors, status, "reservedFor", kMaxConsumers, parent);
  const Json& consumers = items(status, "reservedFor");
  UniqueNames uids;
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    FieldPath at = parent.child("reservedFor").index(i);
    for (const char* key : {"resource", "name", "uid"}) {
      check_required(errors, consumers[i], key, at);
    }
    uids.add(errors, string_or(consumers[i], "uid"), at);
  }
}

FieldErrors validate_claim_status(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  FieldPath path("status");
  const Json* allocation = member(status, "allocation");
  const Json* before = member(object_of(old, "status"), "allocation");
  if (allocation) check_results(errors, *allocation, path.child("allocation"));
  check_consumers(errors, status, path);
  bool reserved = !items(status, "reservedFor").empty();
  if (reserved && !allocation) {
    errors.push_back(FieldError::forbidden(path.child("reservedFor"),
                                           "may not be specified when `allocated` is not set"));
  }
  if (allocation && before && *allocation != *before) {
    errors.push_back(
        FieldError::invalid(path.child("allocation"), *allocation, "field is immutable"));
  }
  return errors;
}

std::string state_cell(const Json& object) {
  std::vector<std::string> states;
  const Json& status = object_of(object, "status");
  bool deleted = has(object_of(object, "metadata"), "deletionTimestamp");
  if (deleted) states.emplace_back("deleted");
  if (has(status, "allocation")) {
    states.emplace_back("allocated");
    if (!items(status, "reservedFor").empty()) states.emplace_back("reserved");
  } else if (!deleted) {
    states.emplace_back("pending");
  }
  return join(states, ",");
}

FieldErrors validate_template(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_labels(errors, object_of(object_of(spec, "metadata"), "labels"),
               path.child("metadata", "labels"));
  check_device_claim(errors, object_of(spec, "spec"), path.child("spec"));
  return errors;
}

}  // namespace

ResourceDef resource_claims() {
  ResourceDef row = row_of("resource.k8s.io", "v1", "resourceclaims", "resourceclaim",
                           "ResourceClaim", "resource.v1.ResourceClaim");
  row.subresources = {own_subresource(row, "status")};
  // Which devices are taken must not be forgotten.
  row.status_durability = Durability::kDurable;
  row.set_defaults = [](Json& object) { default_device_claim(object_at(object, "spec")); };
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate_claim;
  row.validate_update = validate_claim_update;
  row.validate_status = validate_claim_status;
  row.columns = columns({column("Name", "Name of the claim, unique in its namespace"),
                         column("State", "Whether devices were found, and are in use"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), state_cell(object), age_cell(object, context)});
  };
  return row;
}

ResourceDef resource_claim_templates() {
  ResourceDef row =
      row_of("resource.k8s.io", "v1", "resourceclaimtemplates", "resourceclaimtemplate",
             "ResourceClaimTemplate", "resource.v1.ResourceClaimTemplate");
  row.set_defaults = [](Json& object) {
    default_device_claim(object_at(object_at(object, "spec"), "spec"));
  };
  row.validate = validate_template;
  row.validate_update = validate_claim_update;
  row.columns = columns({column("Name", "Name of the template, unique in its namespace"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
