#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/amount.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

constexpr int kHistoryLimit = 10;
constexpr int kProgressSeconds = 600;

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "replicas", 1);
  Json& strategy = object_at(spec, "strategy");
  default_text(strategy, "type", "RollingUpdate");
  if (string_or(strategy, "type") == "RollingUpdate") {
    Json& rolling = object_at(strategy, "rollingUpdate");
    default_to(rolling, "maxUnavailable", "25%");
    default_to(rolling, "maxSurge", "25%");
  }
  default_to(spec, "revisionHistoryLimit", kHistoryLimit);
  default_to(spec, "progressDeadlineSeconds", kProgressSeconds);
  set_pod_template_defaults(object_at(spec, "template"));
}

void check_rolling_update(FieldErrors& errors, const Json& rolling, const FieldPath& path) {
  check_amount(errors, rolling, "maxUnavailable", path);
  check_amount(errors, rolling, "maxSurge", path);
  const Json* unavailable = member(rolling, "maxUnavailable");
  if (unavailable && amount_of(rolling, "maxUnavailable") == 0 &&
      amount_of(rolling, "maxSurge") == 0) {
    errors.push_back(FieldError::invalid(path.child("maxUnavailable"), *unavailable,
                                         "may not be 0 when `maxSurge` is 0"));
  }
  check_at_most_whole(errors, rolling, "maxUnavailable", path);
}

void check_strategy(FieldErrors& errors, const Json& strategy, const FieldPath& path) {
  std::string type = string_or(strategy, "type");
  const Json* rolling = member(strategy, "rollingUpdate");
  FieldPath at = path.child("rollingUpdate");
  if (type == "Recreate") {
    if (rolling) {
      errors.push_back(
          FieldError::forbidden(at, "may not be specified when strategy `type` is 'Recreate'"));
    }
  } else if (type == "RollingUpdate") {
    if (rolling) {
      check_rolling_update(errors, *rolling, at);
    } else {
      errors.push_back(FieldError::required(at, "this should be defaulted and never be nil"));
    }
  } else {
    errors.push_back(FieldError::not_supported(path, strategy, {"Recreate", "RollingUpdate"}));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_non_negative(errors, spec, "replicas", path);
  check_selector_and_template(errors, spec, path, {"deployment", "ReplicaSet"});
  check_strategy(errors, object_of(spec, "strategy"), path.child("strategy"));
  check_non_negative(errors, spec, "minReadySeconds", path);
  check_non_negative(errors, spec, "revisionHistoryLimit", path);
  if (const Json* deadline = member(spec, "progressDeadlineSeconds")) {
    check_non_negative(errors, spec, "progressDeadlineSeconds", path);
    if (*deadline <= int_or(spec, "minReadySeconds")) {
      errors.push_back(FieldError::invalid(path.child("progressDeadlineSeconds"), *deadline,
                                           "must be greater than minReadySeconds"));
    }
  }
  return errors;
}

// A change of annotations is for the controller to see as well: they are copied to the ReplicaSets.
void count_annotations(Json& object, const Json& old) {
  Json& metadata = object_at(object, "metadata");
  const Json& before = object_of(old, "metadata");
  if (object_of(metadata, "annotations") == object_of(before, "annotations")) return;
  metadata["generation"] = int_or(before, "generation") + 1;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_selector_kept(errors, object, old);
  return errors;
}

FieldErrors validate_status(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  check_status_counts(errors, status,
                      {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas",
                       "availableReplicas", "unavailableReplicas"});
  check_status_parts(errors, status, "replicas",
                     {"updatedReplicas", "readyReplicas", "availableReplicas"},
                     "cannot be greater than status.replicas");
  check_status_parts(errors, status, "readyReplicas", {"availableReplicas"},
                     "cannot be greater than readyReplicas");
  check_not_decremented(errors, object, old, "collisionCount");
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  Json cells = Json::array(
      {name_cell(object),
       fmt::format("{}/{}", int_or(status, "readyReplicas"), int_or(spec, "replicas", 1)),
       int_or(status, "updatedReplicas"), int_or(status, "availableReplicas"),
       age_cell(object, context)});
  add_template_cells(cells, object_of(spec, "template"),
                     format_label_selector(object_of(spec, "selector")));
  return cells;
}

}  // namespace

ResourceDef deployments() {
  ResourceDef row =
      row_of("apps", "v1", "deployments", "deployment", "Deployment", "apps.v1.Deployment");
  row.short_names = {"deploy"};
  row.categories = {"all"};
  set_scalable(row);
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.prepare_update = count_annotations;
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.warnings = template_warnings;
  row.columns = columns({column("Name", "Name of the deployment, unique in its namespace"),
                         column("Ready", "Ready pods, of those asked for"),
                         column("Up-to-date", "Pods made from the current template", "integer"),
                         column("Available", "Pods that have been ready long enough", "integer"),
                         column("Age", "Time since creation")});
  add_template_columns(row.columns);
  row.row = cells;
  return row;
}

}  // namespace moth::resources
