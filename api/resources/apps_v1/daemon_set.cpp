#include <algorithm>
#include <cstdlib>

#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/amount.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

constexpr int kHistoryLimit = 10;
// How often the template changed; older clients read it.
constexpr const char* kGeneration = "deprecated.daemonset.template.generation";

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  Json& strategy = object_at(spec, "updateStrategy");
  default_text(strategy, "type", "RollingUpdate");
  if (string_or(strategy, "type") == "RollingUpdate") {
    Json& rolling = object_at(strategy, "rollingUpdate");
    default_to(rolling, "maxUnavailable", 1);
    default_to(rolling, "maxSurge", 0);
  }
  default_to(spec, "revisionHistoryLimit", kHistoryLimit);
  set_pod_template_defaults(object_at(spec, "template"));
}

std::int64_t template_generation(const Json& object) {
  std::string text =
      string_or(object_of(object_of(object, "metadata"), "annotations"), kGeneration);
  return std::strtoll(text.c_str(), nullptr, 10);
}

void set_template_generation(Json& object, std::int64_t generation) {
  object_at(object_at(object, "metadata"), "annotations")[kGeneration] = std::to_string(generation);
}

void prepare_create(Json& object) {
  object["status"] = {{"currentNumberScheduled", 0},
                      {"numberMisscheduled", 0},
                      {"desiredNumberScheduled", 0},
                      {"numberReady", 0}};
  set_template_generation(object, std::max<std::int64_t>(1, template_generation(object)));
}

void prepare_update(Json& object, const Json& old) {
  bool changed = object_of(object_of(object, "spec"), "template") !=
                 object_of(object_of(old, "spec"), "template");
  set_template_generation(object, template_generation(old) + (changed ? 1 : 0));
}

void check_strategy(FieldErrors& errors, const Json& strategy, const FieldPath& path) {
  std::string type = string_or(strategy, "type");
  if (type == "OnDelete") return;
  if (type != "RollingUpdate") {
    errors.push_back(FieldError::not_supported(path, strategy, {"RollingUpdate", "OnDelete"}));
    return;
  }
  const Json* rolling = member(strategy, "rollingUpdate");
  FieldPath at = path.child("rollingUpdate");
  if (!rolling) {
    errors.push_back(FieldError::required(at, ""));
    return;
  }
  for (const char* key : {"maxUnavailable", "maxSurge"}) check_amount(errors, *rolling, key, at);
  for (const char* key : {"maxUnavailable", "maxSurge"}) {
    check_at_most_whole(errors, *rolling, key, at);
  }
  bool unavailable = amount_of(*rolling, "maxUnavailable").value_or(0) != 0;
  bool surge = amount_of(*rolling, "maxSurge").value_or(0) != 0;
  if (unavailable && surge) {
    errors.push_back(FieldError::invalid(at.child("maxSurge"), *member(*rolling, "maxSurge"),
                                         "may not be set when maxUnavailable is non-zero"));
  } else if (!unavailable && !surge) {
    errors.push_back(
        FieldError::required(at.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  const Json& pod_template = object_of(spec, "template");
  const Json& labels = object_of(object_of(pod_template, "metadata"), "labels");
  const Json* selector = member(spec, "selector");
  if (selector) append(errors, validate_label_selector(*selector, path.child("selector")));
  auto parsed = LabelSelector::from_json(selector ? *selector : Json());
  if (parsed && !parsed->matches_json(labels)) {
    errors.push_back(FieldError::invalid(path.child("template", "metadata", "labels"), labels,
                                         "`selector` does not match template `labels`"));
  }
  if (parsed && parsed->matches_everything()) {
    errors.push_back(FieldError::invalid(path.child("selector"), *selector,
                                         "empty selector is invalid for daemonset"));
  }
  append(errors, validate_pod_template(pod_template, path.child("template")));
  check_template_runs_on(errors, pod_template, path.child("template"), "DaemonSet");
  check_non_negative(errors, spec, "minReadySeconds", path);
  check_strategy(errors, object_of(spec, "updateStrategy"), path.child("updateStrategy"));
  check_non_negative(errors, spec, "revisionHistoryLimit", path);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_selector_kept(errors, object, old);
  return errors;
}

FieldErrors validate_status(const Json& object, const Json& old) {
  FieldErrors errors;
  check_status_counts(errors, object_of(object, "status"),
                      {"currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled",
                       "numberReady", "observedGeneration", "updatedNumberScheduled",
                       "numberAvailable", "numberUnavailable", "collisionCount"});
  check_not_decremented(errors, object, old, "collisionCount");
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  const Json& pod_template = object_of(spec, "template");
  Json cells =
      Json::array({name_cell(object), int_or(status, "desiredNumberScheduled"),
                   int_or(status, "currentNumberScheduled"), int_or(status, "numberReady"),
                   int_or(status, "updatedNumberScheduled"), int_or(status, "numberAvailable"),
                   labels_cell(object_of(object_of(pod_template, "spec"), "nodeSelector")),
                   age_cell(object, context)});
  add_template_cells(cells, pod_template, format_label_selector(object_of(spec, "selector")));
  return cells;
}

}  // namespace

ResourceDef daemon_sets() {
  ResourceDef row =
      row_of("apps", "v1", "daemonsets", "daemonset", "DaemonSet", "apps.v1.DaemonSet");
  row.short_names = {"ds"};
  row.categories = {"all"};
  row.subresources = {own_subresource(row, "status")};
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = prepare_create;
  row.prepare_update = prepare_update;
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.warnings = template_warnings;
  row.columns =
      columns({column("Name", "Name of the daemon set, unique in its namespace"),
               column("Desired", "Nodes that should run a pod", "integer"),
               column("Current", "Nodes that run one", "integer"),
               column("Ready", "Nodes whose pod is ready", "integer"),
               column("Up-to-date", "Nodes with the current template", "integer"),
               column("Available", "Nodes whose pod has been ready long enough", "integer"),
               column("Node Selector", "Labels of the nodes that get a pod"),
               column("Age", "Time since creation")});
  add_template_columns(row.columns);
  row.row = cells;
  return row;
}

}  // namespace moth::resources
