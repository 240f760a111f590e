#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/amount.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/policy_v1/rows.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  if (has(spec, "minAvailable") && has(spec, "maxUnavailable")) {
    errors.push_back(
        FieldError::invalid(path, spec, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const char* key : {"minAvailable", "maxUnavailable"}) {
    check_amount(errors, spec, key, path);
    check_at_most_whole(errors, spec, key, path);
  }
  check_supported(errors, spec, "unhealthyPodEvictionPolicy", path,
                  {"AlwaysAllow", "IfHealthyBudget"});
  if (const Json* selector = member(spec, "selector")) {
    append(errors, validate_label_selector(*selector, path.child("selector")));
  }
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  check_status_counts(errors, object_of(object, "status"),
                      {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"});
  return errors;
}

std::string amount_cell(const Json& spec, const char* key) {
  const Json* value = member(spec, key);
  if (!value) return "N/A";
  return value->is_string() ? value->get<std::string>() : std::to_string(int_or(spec, key));
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  return Json::array(
      {name_cell(object), amount_cell(spec, "minAvailable"), amount_cell(spec, "maxUnavailable"),
       int_or(object_of(object, "status"), "disruptionsAllowed"), age_cell(object, context)});
}

}  // namespace

ResourceDef pod_disruption_budgets() {
  ResourceDef row = row_of("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget",
                           "PodDisruptionBudget", "policy.v1.PodDisruptionBudget");
  row.short_names = {"pdb"};
  row.subresources = {own_subresource(row, "status")};
  row.has_generation = true;
  row.allow_unconditional_update = false;
  row.prepare_create = [](Json& object) {
    object["status"] = {{"disruptionsAllowed", 0},
                        {"currentHealthy", 0},
                        {"desiredHealthy", 0},
                        {"expectedPods", 0}};
  };
  row.validate = validate;
  row.validate_update = [](const Json& object, const Json&) { return validate(object); };
  row.validate_status = validate_status;
  row.columns = columns({column("Name", "Name of the budget, unique in its namespace"),
                         column("Min Available", "Pods that must stay"),
                         column("Max Unavailable", "Pods that may be missing"),
                         column("Allowed Disruptions", "Pods that may be evicted now", "integer"),
                         column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
