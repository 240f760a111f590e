#include <fmt/format.h>

#include <cstdlib>

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

// The number of a count, or that of a percentage; nothing for other texts.
std::optional<std::int64_t> amount_of(const Json& owner, std::string_view key) {
  const Json* value = member(owner, key);
  if (!value) return 0;
  if (value->is_number_integer()) return value->get<std::int64_t>();
  if (!value->is_string()) return std::nullopt;
  const std::string& text = value->get_ref<const std::string&>();
  if (!check_percent(text).empty()) return std::nullopt;
  return std::strtoll(text.c_str(), nullptr, 10);
}

void check_rolling_update(FieldErrors& errors, const Json& rolling, const FieldPath& path) {
  for (std::string_view key : {"maxUnavailable", "maxSurge"}) {
    if (const Json* value = member(rolling, key)) {
      check_int_or_percent(errors, *value, path.child(key));
    }
  }
  const Json* unavailable = member(rolling, "maxUnavailable");
  if (!unavailable) return;
  FieldPath at = path.child("maxUnavailable");
  if (amount_of(rolling, "maxUnavailable") == 0 && amount_of(rolling, "maxSurge") == 0) {
    errors.push_back(FieldError::invalid(at, *unavailable, "may not be 0 when `maxSurge` is 0"));
  }
  constexpr std::int64_t kWhole = 100;
  if (unavailable->is_string() && amount_of(rolling, "maxUnavailable").value_or(0) > kWhole) {
    errors.push_back(FieldError::invalid(at, *unavailable, "must not be greater than 100%"));
  }
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
  check_selector_and_template(errors, spec, path);
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

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "selector",
                  FieldPath("spec"));
  return errors;
}

FieldErrors validate_status(const Json& object, const Json& old) {
  FieldErrors errors;
  FieldPath path("status");
  const Json& status = object_of(object, "status");
  for (std::string_view key : {"observedGeneration", "replicas", "updatedReplicas", "readyReplicas",
                               "availableReplicas", "unavailableReplicas"}) {
    check_non_negative(errors, status, key, path);
  }
  std::int64_t collisions = int_or(status, "collisionCount");
  if (collisions < int_or(object_of(old, "status"), "collisionCount")) {
    errors.push_back(
        FieldError::invalid(path.child("collisionCount"), collisions, "cannot be decremented"));
  }
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  const Json& pod_template = object_of(spec, "template");
  return Json::array(
      {name_cell(object),
       fmt::format("{}/{}", int_or(status, "readyReplicas"), int_or(spec, "replicas", 1)),
       int_or(status, "updatedReplicas"), int_or(status, "availableReplicas"),
       age_cell(object, context), container_cell(pod_template, "name"),
       container_cell(pod_template, "image"), format_label_selector(object_of(spec, "selector"))});
}

}  // namespace

ResourceDef deployments() {
  ResourceDef row =
      row_of("apps", "v1", "deployments", "deployment", "Deployment", "apps.v1.Deployment");
  row.short_names = {"deploy"};
  row.categories = {"all"};
  row.subresources = {scale_subresource(), own_subresource(row, "status")};
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.warnings = [](const Json& object) {
    const Json& pod_template = object_of(object_of(object, "spec"), "template");
    return pod_spec_warnings(object_of(pod_template, "spec"), FieldPath("spec.template.spec"));
  };
  row.columns = columns({column("Name", "Name of the deployment, unique in its namespace"),
                         column("Ready", "Ready pods, of those asked for"),
                         column("Up-to-date", "Pods made from the current template", "integer"),
                         column("Available", "Pods that have been ready long enough", "integer"),
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
