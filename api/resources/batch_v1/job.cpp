#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/selectors.h"
#include "api/machinery/time.h"
#include "api/resources/batch_v1/job_rules.h"
#include "api/resources/batch_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

constexpr int kBackoffLimit = 6;
// From before labels of Kubernetes' own carried a prefix.
constexpr const char* kOldUidLabel = "controller-uid";
constexpr const char* kOldNameLabel = "job-name";

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  if (!has(spec, "completions") && !has(spec, "parallelism")) spec["completions"] = 1;
  default_to(spec, "parallelism", 1);
  default_to(spec, "backoffLimit",
             has(spec, "backoffLimitPerIndex") ? kInt32Max : std::int64_t{kBackoffLimit});
  default_to(spec, "completionMode", "NonIndexed");
  default_to(spec, "suspend", false);
  default_to(spec, "podReplacementPolicy",
             has(spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
  default_to(spec, "manualSelector", false);
  Json& pod_template = object_at(spec, "template");
  const Json& labels = object_of(object_of(pod_template, "metadata"), "labels");
  Json& metadata = object_at(object, "metadata");
  if (object_of(metadata, "labels").empty() && !labels.empty()) metadata["labels"] = labels;
  set_pod_template_defaults(pod_template);
}

// The pods' labels name their Job, and the selector is its uid: no two Jobs select the same pods.
void prepare_create(Json& object) {
  object["status"] = Json::object();
  Json& spec = object_at(object, "spec");
  if (bool_or(spec, "manualSelector")) return;
  const Json& metadata = object_of(object, "metadata");
  std::string uid = string_or(metadata, "uid"), name = string_or(metadata, "name");
  Json& labels = object_at(object_at(object_at(spec, "template"), "metadata"), "labels");
  for (const char* key : {kOldUidLabel, kControllerUidLabel}) default_to(labels, key, uid);
  for (const char* key : {kOldNameLabel, kJobNameLabel}) default_to(labels, key, name);
  default_to(object_at(object_at(spec, "selector"), "matchLabels"), kControllerUidLabel, uid);
}

void check_has_label(FieldErrors& errors, const Json& labels, const char* key,
                     const std::string& expected) {
  FieldPath at = FieldPath("spec").child("template", "metadata", "labels").key(key);
  std::string detail = fmt::format("must be '{}'", expected);
  const Json* value = find_member(labels, key);
  if (!value) {
    errors.push_back(FieldError::required(at, std::move(detail)));
  } else if (*value != expected) {
    errors.push_back(FieldError::invalid(at, labels, std::move(detail)));
  }
}

void check_generated_selector(FieldErrors& errors, const Json& object) {
  const Json& spec = object_of(object, "spec");
  const Json* selector = member(spec, "selector");
  if (bool_or(spec, "manualSelector") || !selector) return;
  const Json& metadata = object_of(object, "metadata");
  std::string uid = string_or(metadata, "uid"), name = string_or(metadata, "name");
  if (uid.empty()) errors.push_back(FieldError::required(FieldPath("metadata.uid"), ""));
  const Json& labels = object_of(object_of(object_of(spec, "template"), "metadata"), "labels");
  check_has_label(errors, labels, kOldUidLabel, uid);
  check_has_label(errors, labels, kOldNameLabel, name);
  check_has_label(errors, labels, kControllerUidLabel, uid);
  check_has_label(errors, labels, kJobNameLabel, name);
  const Json expected = {{kOldUidLabel, uid},
                         {kControllerUidLabel, uid},
                         {kOldNameLabel, name},
                         {kJobNameLabel, name}};
  auto parsed = LabelSelector::from_json(*selector);
  if (parsed && !parsed->matches_json(expected)) {
    errors.push_back(FieldError::invalid(FieldPath("spec").child("selector"), *selector,
                                         "`selector` not auto-generated"));
  }
}

FieldErrors validate_spec(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_job_spec(errors, spec, path);
  const Json* selector = member(spec, "selector");
  FieldPath at = path.child("selector");
  if (selector) {
    append(errors, validate_label_selector(*selector, at));
  } else {
    errors.push_back(FieldError::required(at, ""));
  }
  auto parsed = LabelSelector::from_json(selector ? *selector : Json());
  if (parsed)
    check_selector_matches(errors, object_of(spec, "template"), *parsed, path.child("template"));
  return errors;
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  check_generated_selector(errors, object);
  append(errors, validate_spec(object));
  const Json& spec = object_of(object, "spec");
  std::int64_t completions = int_or(spec, "completions");
  if (string_or(spec, "completionMode") == "Indexed" && completions > 0) {
    std::string name = string_or(object_of(object, "metadata"), "name");
    std::string longest = fmt::format("{}-{}", name, completions - 1);
    if (!check_dns1123_label(longest).empty()) {
      errors.push_back(FieldError::invalid(
          FieldPath("metadata.name"), name,
          fmt::format("will not able to create pod with invalid DNS label: {}", longest)));
    }
  }
  return errors;
}

void check_completions_kept(FieldErrors& errors, const Json& spec, const Json& old) {
  FieldPath path("spec");
  if (string_or(spec, "completionMode") != "Indexed") {
    check_immutable(errors, spec, old, "completions", path);
    return;
  }
  const Json* completions = member(spec, "completions");
  if (!completions || *completions == int_or(old, "completions", -1)) return;
  if (*completions != int_or(spec, "parallelism")) {
    errors.push_back(FieldError::invalid(path.child("completions"), *completions,
                                         "can only be modified in tandem with spec.parallelism"));
  }
}

void take_member(Json& to, const Json& from, const char* key) {
  if (const Json* value = member(from, key)) {
    to[key] = *value;
  } else {
    to.erase(key);
  }
}

// Where the pods go may change as long as none was started.
void allow_scheduling_changes(Json& old_template, const Json& pod_template) {
  Json& spec = object_at(old_template, "spec");
  const Json& now = object_of(pod_template, "spec");
  for (const char* key : {"nodeSelector", "tolerations", "schedulingGates"}) {
    take_member(spec, now, key);
  }
  for (const char* key : {"labels", "annotations"}) {
    take_member(object_at(old_template, "metadata"), object_of(pod_template, "metadata"), key);
  }
  if (!has(spec, "affinity") && !has(now, "affinity")) return;
  Json& affinity = object_at(spec, "affinity");
  take_member(affinity, object_of(now, "affinity"), "nodeAffinity");
  if (affinity.empty() && !has(now, "affinity")) spec.erase("affinity");
}

void check_template_kept(FieldErrors& errors, const Json& object, const Json& old) {
  const Json& now = object_of(object_of(object, "spec"), "template");
  Json before = object_of(object_of(old, "spec"), "template");
  bool started = has(object_of(old, "status"), "startTime");
  if (bool_or(object_of(old, "spec"), "suspend") && !started) {
    allow_scheduling_changes(before, now);
  }
  if (now == before) return;
  errors.push_back(FieldError::invalid(FieldPath("spec.template"), now, "field is immutable"));
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate_spec(object);
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  const Json& before = object_of(old, "spec");
  check_completions_kept(errors, spec, before);
  check_immutable(errors, spec, before, "selector", path);
  check_template_kept(errors, object, old);
  for (const char* key : {"completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
                          "successPolicy"}) {
    check_immutable(errors, spec, before, key, path);
  }
  return errors;
}

std::vector<std::string> warnings(const Json& object) {
  constexpr std::int64_t kManyCompletions = 100'000, kMuchParallelism = 10'000;
  std::vector<std::string> texts = pod_name_warnings(object);
  const Json& spec = object_of(object, "spec");
  if (string_or(spec, "completionMode") == "Indexed" &&
      int_or(spec, "completions") > kManyCompletions &&
      int_or(spec, "parallelism") > kMuchParallelism) {
    texts.emplace_back(
        "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher "
        "than 10^4, Kubernetes might not be able to track completedIndexes when a big number of "
        "indexes fail");
  }
  for (std::string& text : template_warnings(object)) texts.push_back(std::move(text));
  return texts;
}

std::string status_cell(const Json& object) {
  for (const char* type : {"Complete", "Failed"}) {
    if (condition_is_true(object, type)) return type;
  }
  if (has(object_of(object, "metadata"), "deletionTimestamp")) return "Terminating";
  for (const char* type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"}) {
    if (condition_is_true(object, type)) return type;
  }
  return "Running";
}

std::string completions_cell(const Json& spec, const Json& status) {
  std::int64_t succeeded = int_or(status, "succeeded");
  if (has(spec, "completions")) return fmt::format("{}/{}", succeeded, int_or(spec, "completions"));
  std::int64_t parallelism = int_or(spec, "parallelism");
  return parallelism > 1 ? fmt::format("{}/1 of {}", succeeded, parallelism)
                         : fmt::format("{}/1", succeeded);
}

std::string duration_cell(const Json& status, WallTime now) {
  auto start = parse_rfc3339(string_or(status, "startTime"));
  if (!start) return "";
  auto end = parse_rfc3339(string_or(status, "completionTime"));
  return human_age((end ? *end : now) - *start);
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  Json cells = Json::array({name_cell(object), status_cell(object), completions_cell(spec, status),
                            duration_cell(status, context.now), age_cell(object, context)});
  add_template_cells(cells, object_of(spec, "template"),
                     format_label_selector(object_of(spec, "selector")));
  return cells;
}

}  // namespace

ResourceDef jobs() {
  ResourceDef row = row_of("batch", "v1", "jobs", "job", "Job", "batch.v1.Job");
  row.categories = {"all"};
  row.subresources = {own_subresource(row, "status")};
  // Pods that were counted may be gone: nobody could count them again.
  row.status_durability = Durability::kDurable;
  row.orphan_by_default = true;
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = prepare_create;
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_job_status;
  row.warnings = warnings;
  row.selectable_fields = {"status.successful"};
  row.field = [](const Json& object, std::string_view) {
    return std::to_string(int_or(object_of(object, "status"), "succeeded"));
  };
  row.columns = columns({column("Name", "Name of the job, unique in its namespace"),
                         column("Status", "Running, Complete, Failed, Suspended ..."),
                         column("Completions", "Pods that succeeded, of those that must"),
                         column("Duration", "From the start to the end, or until now"),
                         column("Age", "Time since creation")});
  add_template_columns(row.columns);
  row.row = cells;
  return row;
}

}  // namespace moth::resources
