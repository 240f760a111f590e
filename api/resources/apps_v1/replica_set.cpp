#include "api/base/json.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

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
  check_selector_and_template(errors, spec, path, {"deployment", "ReplicaSet"});
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_selector_kept(errors, object, old);
  return errors;
}

}  // namespace

ResourceDef replica_sets() {
  ResourceDef row =
      row_of("apps", "v1", "replicasets", "replicaset", "ReplicaSet", "apps.v1.ReplicaSet");
  row.short_names = {"rs"};
  row.categories = {"all"};
  set_scalable(row);
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = {{"replicas", 0}}; };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_replica_status;
  row.warnings = template_warnings;
  set_replica_printing(row, "Name of the replica set, unique in its namespace");
  return row;
}

}  // namespace moth::resources
