#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/coordination_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  const Json* duration = member(spec, "leaseDurationSeconds");
  if (duration && *duration <= 0) {
    errors.push_back(FieldError::invalid(path.child("leaseDurationSeconds"), *duration,
                                         "must be greater than 0"));
  }
  check_non_negative(errors, spec, "leaseTransitions", path);
  return errors;
}

}  // namespace

ResourceDef leases() {
  ResourceDef row =
      row_of("coordination.k8s.io", "v1", "leases", "lease", "Lease", "coordination.v1.Lease");
  row.durability = Durability::kLazy;
  row.allow_create_on_update = true;
  row.allow_unconditional_update = false;
  row.validate = validate;
  row.columns = columns({column("Name", "Name of the lease, unique in its namespace"),
                         column("Holder", "Who holds it"), column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), string_or(object_of(object, "spec"), "holderIdentity"),
                        age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
