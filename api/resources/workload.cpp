#include "api/resources/workload.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

bool selects_nothing_in_particular(const Json& selector) {
  return object_of(selector, "matchLabels").empty() && items(selector, "matchExpressions").empty();
}

// A LabelSelector, or the plain map of a ReplicationController.
std::string selector_cell(const Json& spec, bool plain_map) {
  const Json& selector = object_of(spec, "selector");
  return plain_map ? labels_cell(selector) : format_label_selector(selector);
}

}  // namespace

std::optional<LabelSelector> check_workload_selector(FieldErrors& errors, const Json& spec,
                                                     const FieldPath& path,
                                                     std::string_view empty_for,
                                                     std::string_view unparsable) {
  const Json* given = member(spec, "selector");
  FieldPath at = path.child("selector");
  if (!given) {
    errors.push_back(FieldError::required(at, ""));
    return LabelSelector::nothing();
  }
  append(errors, validate_label_selector(*given, at));
  if (selects_nothing_in_particular(*given)) {
    errors.push_back(FieldError::invalid(
        at, *given, fmt::format("empty selector is invalid for {}", empty_for)));
  }
  auto parsed = LabelSelector::from_json(*given);
  if (parsed) return *std::move(parsed);
  errors.push_back(FieldError::invalid(at, *given, std::string(unparsable)));
  return std::nullopt;
}

void check_selector_matches(FieldErrors& errors, const Json& pod_template,
                            const LabelSelector& selector, const FieldPath& path) {
  const Json& labels = object_of(object_of(pod_template, "metadata"), "labels");
  if (selector.matches_everything() || selector.matches_json(labels)) return;
  errors.push_back(FieldError::invalid(path.child("metadata", "labels"), labels,
                                       "`selector` does not match template `labels`"));
}

void check_template_runs_on(FieldErrors& errors, const Json& pod_template, const FieldPath& path,
                            std::string_view kind) {
  const Json& spec = object_of(pod_template, "spec");
  std::string restart = string_or(spec, "restartPolicy");
  if (restart != "Always") {
    errors.push_back(
        FieldError::not_supported(path.child("spec", "restartPolicy"), restart, {"Always"}));
  }
  if (has(spec, "activeDeadlineSeconds")) {
    errors.push_back(
        FieldError::forbidden(path.child("spec", "activeDeadlineSeconds"),
                              fmt::format("activeDeadlineSeconds in {} is not Supported", kind)));
  }
}

void check_selector_and_template(FieldErrors& errors, const Json& spec, const FieldPath& path,
                                 const WorkloadTexts& texts) {
  auto selector =
      check_workload_selector(errors, spec, path, texts.selector, "invalid label selector");
  if (!selector) return;
  const Json& pod_template = object_of(spec, "template");
  FieldPath at = path.child("template");
  check_selector_matches(errors, pod_template, *selector, at);
  append(errors, validate_pod_template(pod_template, at));
  check_template_runs_on(errors, pod_template, at, texts.deadline);
}

void check_selector_kept(FieldErrors& errors, const Json& object, const Json& old) {
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "selector",
                  FieldPath("spec"));
}

void check_status_counts(FieldErrors& errors, const Json& status,
                         std::initializer_list<std::string_view> counts) {
  for (std::string_view key : counts) check_non_negative(errors, status, key, FieldPath("status"));
}

void check_status_parts(FieldErrors& errors, const Json& status, std::string_view whole,
                        std::initializer_list<std::string_view> parts, std::string_view text) {
  std::int64_t limit = int_or(status, whole);
  for (std::string_view key : parts) {
    std::int64_t part = int_or(status, key);
    if (part <= limit) continue;
    errors.push_back(FieldError::invalid(FieldPath("status").child(key), part, std::string(text)));
  }
}

void check_not_decremented(FieldErrors& errors, const Json& object, const Json& old,
                           std::string_view key) {
  std::int64_t now = int_or(object_of(object, "status"), key);
  if (now >= int_or(object_of(old, "status"), key)) return;
  errors.push_back(
      FieldError::invalid(FieldPath("status").child(key), now, "cannot be decremented"));
}

FieldErrors validate_replica_status(const Json& object, const Json&) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  check_status_counts(errors, status,
                      {"replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas",
                       "observedGeneration"});
  check_status_parts(errors, status, "replicas",
                     {"fullyLabeledReplicas", "readyReplicas", "availableReplicas"},
                     "cannot be greater than status.replicas");
  check_status_parts(errors, status, "readyReplicas", {"availableReplicas"},
                     "cannot be greater than readyReplicas");
  return errors;
}

std::vector<std::string> template_warnings(const Json& object) {
  const Json& pod_template = object_of(object_of(object, "spec"), "template");
  return pod_spec_warnings(object_of(pod_template, "spec"), FieldPath("spec.template.spec"));
}

void add_template_columns(std::vector<Column>& columns, bool selector) {
  columns.push_back(column("Containers", "Names of the containers", "string", 1));
  columns.push_back(column("Images", "Images of the containers", "string", 1));
  if (selector) columns.push_back(column("Selector", "Labels of its pods", "string", 1));
}

void add_template_cells(Json& cells, const Json& pod_template,
                        const std::optional<std::string>& selector) {
  cells.push_back(container_cell(pod_template, "name"));
  cells.push_back(container_cell(pod_template, "image"));
  if (selector) cells.push_back(*selector);
}

void set_scalable(ResourceDef& row) {
  row.subresources = {scale_subresource(), own_subresource(row, "status")};
  row.scale_spec_replicas = "/spec/replicas";
  row.scale_status_replicas = "/status/replicas";
  row.scale_selector = "/spec/selector";
}

void set_replica_printing(ResourceDef& row, std::string name_description) {
  row.selectable_fields = {"status.replicas"};
  row.field = [](const Json& object, std::string_view) {
    return std::to_string(int_or(object_of(object, "status"), "replicas"));
  };
  row.columns = columns(
      {column("Name", std::move(name_description)), column("Desired", "Pods asked for", "integer"),
       column("Current", "Pods that exist", "integer"),
       column("Ready", "Pods that are ready", "integer"), column("Age", "Time since creation")});
  add_template_columns(row.columns);
  bool plain_map = row.group.empty();
  row.row = [plain_map](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    const Json& status = object_of(object, "status");
    Json cells =
        Json::array({name_cell(object), int_or(spec, "replicas", 1), int_or(status, "replicas"),
                     int_or(status, "readyReplicas"), age_cell(object, context)});
    add_template_cells(cells, object_of(spec, "template"), selector_cell(spec, plain_map));
    return cells;
  };
}

}  // namespace moth::resources
