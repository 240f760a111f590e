#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/node_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void check_overhead(FieldErrors& errors, const Json& object) {
  const Json* overhead = member(object, "overhead");
  if (!overhead) return;
  Json as_limits = {{"limits", object_of(*overhead, "podFixed")}};
  FieldPath path = FieldPath("overhead").child("podFixed");
  append(errors, validate_resources(as_limits, path));
}

void check_scheduling(FieldErrors& errors, const Json& object) {
  const Json* scheduling = member(object, "scheduling");
  if (!scheduling) return;
  FieldPath path("scheduling");
  check_labels(errors, object_of(*scheduling, "nodeSelector"), path.child("nodeSelector"));
  check_tolerations(errors, *scheduling, path.child("tolerations"));
  const Json& tolerations = items(*scheduling, "tolerations");
  for (std::size_t i = 0; i < tolerations.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before) {
      if (tolerations[before] != tolerations[i]) continue;
      errors.push_back(FieldError::duplicate(path.child("tolerations").index(i), tolerations[i]));
      break;
    }
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  std::string handler = string_or(object, "handler");
  add_invalid(errors, FieldPath("handler"), handler, check_dns1123_label(handler));
  check_overhead(errors, object);
  check_scheduling(errors, object);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_immutable(errors, object, old, "handler", FieldPath());
  return errors;
}

}  // namespace

ResourceDef runtime_classes() {
  ResourceDef row = row_of("node.k8s.io", "v1", "runtimeclasses", "runtimeclass", "RuntimeClass",
                           "node.v1.RuntimeClass");
  row.namespaced = false;
  row.allow_unconditional_update = false;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns({column("Name", "Name of the class"),
                         column("Handler", "What the container runtime knows it as"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array(
        {name_cell(object), string_or(object, "handler"), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
