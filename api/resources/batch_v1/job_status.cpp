// What a Job's status may say, and how it may change.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/batch_v1/job_rules.h"
#include "api/resources/check.h"
#include "api/resources/conditions.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

const FieldPath& status_path() {
  static const FieldPath kStatus("status");
  return kStatus;
}

void refuse_conditions(FieldErrors& errors, std::string detail) {
  FieldError error;
  error.field = status_path().child("conditions").to_string();
  error.detail = std::move(detail);
  errors.push_back(std::move(error));
}

void check_uncounted(FieldErrors& errors, const Json& status) {
  const Json& pods = object_of(status, "uncountedTerminatedPods");
  UniqueNames seen;
  for (const char* key : {"succeeded", "failed"}) {
    std::size_t i = 0;
    for (const std::string& uid : strings(pods, key)) {
      FieldPath at = status_path().child("uncountedTerminatedPods", key).index(i++);
      if (uid.empty()) {
        errors.push_back(FieldError::invalid(at, uid, "must not be empty"));
      } else {
        seen.add(errors, uid, at);
      }
    }
  }
}

void check_times(FieldErrors& errors, const Json& job, const Json& status) {
  FieldPath at = status_path().child("completionTime");
  bool complete = condition_is_true(job, "Complete");
  const Json* completed = member(status, "completionTime");
  if (completed && !complete) {
    errors.push_back(FieldError::invalid(
        at, *completed, "cannot set completionTime when there is no Complete=True condition"));
  }
  if (!completed && complete) {
    errors.push_back(FieldError::required(at, "completionTime is required for Complete jobs"));
  }
  auto start = parse_rfc3339(string_or(status, "startTime"));
  auto end = parse_rfc3339(string_or(status, "completionTime"));
  if (completed && start && end && *end < *start) {
    errors.push_back(
        FieldError::invalid(at, *completed, "completionTime cannot be set before startTime"));
  }
}

void check_conditions(FieldErrors& errors, const Json& job) {
  bool complete = condition_is_true(job, "Complete"), failed = condition_is_true(job, "Failed");
  bool target = condition_is_true(job, "FailureTarget");
  bool met = condition_is_true(job, "SuccessCriteriaMet");
  if (complete && failed) {
    refuse_conditions(errors, "cannot set Complete=True and Failed=true conditions");
  }
  if (complete && target) {
    refuse_conditions(errors, "cannot set Complete=True and FailureTarget=true conditions");
  }
  if (met && failed) {
    refuse_conditions(errors, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
  }
  if (met && target) {
    refuse_conditions(errors,
                      "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
  }
  if (has(object_of(job, "spec"), "successPolicy") && complete && !met) {
    refuse_conditions(errors,
                      "cannot set Complete=True for Job with SuccessPolicy unless "
                      "SuccessCriteriaMet=True");
  }
}

void check_finished(FieldErrors& errors, const Json& job, const Json& status) {
  if (!condition_is_true(job, "Complete") && !condition_is_true(job, "Failed")) return;
  if (int_or(status, "active") > 0) {
    errors.push_back(FieldError::invalid(status_path().child("active"), int_or(status, "active"),
                                         "active>0 is invalid for finished job"));
  }
  const Json& uncounted = object_of(status, "uncountedTerminatedPods");
  if (!items(uncounted, "succeeded").empty() || !items(uncounted, "failed").empty()) {
    errors.push_back(
        FieldError::invalid(status_path().child("uncountedTerminatedPods"), uncounted,
                            "uncountedTerminatedPods needs to be empty for finished job"));
  }
}

void check_indexes(FieldErrors& errors, const Json& spec, const Json& status) {
  const Json* completions = member(spec, "completions");
  if (!completions) return;
  for (const char* key : {"completedIndexes", "failedIndexes"}) {
    std::string text = string_or(status, key);
    auto intervals = parse_job_indexes(text, int_or(spec, "completions"));
    if (intervals) continue;
    errors.push_back(
        FieldError::invalid(status_path().child(key), text,
                            fmt::format("error parsing {}: {}", key, intervals.error().message)));
  }
  if (!string_or(status, "completedIndexes").empty() &&
      string_or(spec, "completionMode") != "Indexed") {
    errors.push_back(FieldError::invalid(
        status_path().child("completedIndexes"), string_or(status, "completedIndexes"),
        "cannot set non-empty completedIndexes when non-indexed completion mode"));
  }
}

}  // namespace

FieldErrors validate_job_status(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  const Json& before = object_of(old, "status");
  for (const char* key : {"active", "succeeded", "failed", "ready", "terminating"}) {
    check_non_negative(errors, status, key, status_path());
  }
  check_uncounted(errors, status);
  check_times(errors, object, status);
  check_finished(errors, object, status);
  check_indexes(errors, spec, status);
  if (int_or(status, "ready") > int_or(status, "active")) {
    errors.push_back(FieldError::invalid(status_path().child("ready"), int_or(status, "ready"),
                                         "cannot set more ready pods than active"));
  }
  check_conditions(errors, object);
  for (const char* type : {"Failed", "Complete", "FailureTarget", "SuccessCriteriaMet"}) {
    if (!condition_is_true(old, type) || condition_is_true(object, type)) continue;
    bool terminal = std::string_view(type) != "SuccessCriteriaMet";
    refuse_conditions(errors, fmt::format("cannot disable the {}{}=True condition",
                                          terminal ? "terminal " : "", type));
  }
  for (const char* key : {"failed", "succeeded"}) {
    std::int64_t now = int_or(status, key);
    if (now >= int_or(before, key)) continue;
    errors.push_back(FieldError::invalid(status_path().child(key), now,
                                         fmt::format("cannot decrease the {} counter", key)));
  }
  return errors;
}

}  // namespace moth::resources
