#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/apps_v1/workload_checks.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "replicas", 1);
  set_pod_template_defaults(object_at(spec, "template"));
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_non_negative(errors, spec, "replicas", path);
  check_non_negative(errors, spec, "minReadySeconds", path);
  check_selector_and_template(errors, spec, path);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "selector",
                  FieldPath("spec"));
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  FieldPath path("status");
  const Json& status = object_of(object, "status");
  for (std::string_view key : {"replicas", "fullyLabeledReplicas", "readyReplicas",
                               "availableReplicas", "observedGeneration"}) {
    check_non_negative(errors, status, key, path);
  }
  std::int64_t replicas = int_or(status, "replicas");
  for (std::string_view key : {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"}) {
    if (int_or(status, key) <= replicas) continue;
    errors.push_back(FieldError::invalid(path.child(key), int_or(status, key),
                                         "cannot be greater than status.replicas"));
  }
  if (int_or(status, "availableReplicas") > int_or(status, "readyReplicas")) {
    errors.push_back(FieldError::invalid(path.child("availableReplicas"),
                                         int_or(status, "availableReplicas"),
                                         "cannot be greater than readyReplicas"));
  }
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  const Json& pod_template = object_of(spec, "template");
  return Json::array({name_cell(object), int_or(spec, "replicas", 1), int_or(status, "replicas"),
                      int_or(status, "readyReplicas"), age_cell(object, context),
                      container_cell(pod_template, "name"), container_cell(pod_template, "image"),
                      format_label_selector(object_of(spec, "selector"))});
}

}  // namespace

ResourceDef replica_sets() {
  ResourceDef row =
      row_of("apps", "v1", "replicasets", "replicaset", "ReplicaSet", "apps.v1.ReplicaSet");
  row.short_names = {"rs"};
  row.categories = {"all"};
  row.subresources = {scale_subresource(), own_subresource(row, "status")};
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = {{"replicas", 0}}; };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.warnings = [](const Json& object) {
    const Json& pod_template = object_of(object_of(object, "spec"), "template");
    return pod_spec_warnings(object_of(pod_template, "spec"), FieldPath("spec.template.spec"));
  };
  row.selectable_fields = {"status.replicas"};
  row.field = [](const Json& object, std::string_view) {
    return std::to_string(int_or(object_of(object, "status"), "replicas"));
  };
  row.columns = columns({column("Name", "Name of the replica set, unique in its namespace"),
                         column("Desired", "Pods asked for", "integer"),
                         column("Current", "Pods that exist", "integer"),
                         column("Ready", "Pods that are ready", "integer"),
                         column("Age", "Time since creation"),
                         column("Containers", "Names of the containers", "string", 1),
                         column("Images", "Images of the containers", "string", 1),
                         column("Selector", "Labels of its pods", "string", 1)});
  row.row = cells;
  row.scale_spec_replicas = "/spec/replicas";
  row.scale_status_replicas = "/status/replicas";
  row.scale_selector = "/spec/selector";
  return row;
}

}  // namespace moth::resources
