#include "api/base/json.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/parse.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

// Labels and selector are those of the template when they are not given.
void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "replicas", 1);
  const Json labels = object_of(object_of(object_of(spec, "template"), "metadata"), "labels");
  if (!labels.empty()) {
    if (object_of(spec, "selector").empty()) spec["selector"] = labels;
    Json& metadata = object_at(object, "metadata");
    if (object_of(metadata, "labels").empty()) metadata["labels"] = labels;
  }
  if (has(spec, "template")) set_pod_template_defaults(spec["template"]);
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  const Json& selector = object_of(spec, "selector");
  const Json* pod_template = member(spec, "template");
  FieldPath at = path.child("template");
  check_non_negative(errors, spec, "minReadySeconds", path);
  if (selector.empty()) errors.push_back(FieldError::required(path.child("selector"), ""));
  check_non_negative(errors, spec, "replicas", path);
  if (!pod_template) {
    errors.push_back(FieldError::required(at, ""));
    return errors;
  }
  check_selector_matches(errors, *pod_template,
                         LabelSelector::from_map(string_map(spec, "selector")), at);
  append(errors, validate_pod_template(*pod_template, at));
  check_template_runs_on(errors, *pod_template, at, "ReplicationController");
  return errors;
}

}  // namespace

ResourceDef replication_controllers() {
  ResourceDef row = row_of("", "v1", "replicationcontrollers", "replicationcontroller",
                           "ReplicationController", "core.v1.ReplicationController");
  row.short_names = {"rc"};
  row.categories = {"all"};
  set_scalable(row);
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = {{"replicas", 0}}; };
  row.validate = validate;
  row.validate_update = [](const Json& object, const Json&) { return validate(object); };
  row.validate_status = validate_replica_status;
  row.warnings = template_warnings;
  set_replica_printing(row, "Name of the replication controller, unique in its namespace");
  return row;
}

}  // namespace moth::resources
