#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/batch_v1/job_rules.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxRules = 20;
constexpr std::size_t kMaxConditions = 20;
constexpr std::size_t kMaxExitCodes = 255;
constexpr std::size_t kMaxIndexText = 64 * 1024;

// An error about the whole of a rule: its value is not printed.
FieldError without_value(const FieldPath& path, std::string detail) {
  FieldError error;
  error.field = path.to_string();
  error.detail = std::move(detail);
  return error;
}

// One of `supported`, with upstream's words for a missing one.
void check_choice(FieldErrors& errors, const Json& object, const char* key, const FieldPath& path,
                  const std::vector<std::string>& supported) {
  if (!string_or(object, key).empty()) {
    check_supported(errors, object, key, path, supported);
    return;
  }
  std::vector<std::string> quoted;
  for (const std::string& value : supported) quoted.push_back("\"" + value + "\"");
  errors.push_back(
      FieldError::required(path.child(key), fmt::format("valid values: [{}]", join(quoted, " "))));
}

bool names_container(const Json& spec, const std::string& name) {
  const Json& pod = object_of(object_of(spec, "template"), "spec");
  for (const char* list : {"containers", "initContainers"}) {
    for (const Json& container : items(pod, list)) {
      if (string_or(container, "name") == name) return true;
    }
  }
  return false;
}

void check_exit_code_values(FieldErrors& errors, const Json& codes, const FieldPath& path) {
  const Json& values = items(codes, "values");
  if (values.empty()) {
    errors.push_back(FieldError::invalid(path, values, "at least one value is required"));
  } else if (values.size() > kMaxExitCodes) {
    errors.push_back(FieldError::too_many(path, values.size(), kMaxExitCodes));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (string_or(codes, "operator") == "In" && values[i] == 0) {
      errors.push_back(
          FieldError::invalid(path.index(i), values[i], "must not be 0 for the In operator"));
    }
    auto end = values.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(values.begin(), end, values[i]) != end) {
      errors.push_back(FieldError::duplicate(path.index(i), values[i]));
    }
  }
  if (!std::is_sorted(values.begin(), values.end())) {
    errors.push_back(FieldError::invalid(path, values, "must be ordered"));
  }
}

void check_exit_codes(FieldErrors& errors, const Json& codes, const Json& spec,
                      const FieldPath& path) {
  check_choice(errors, codes, "operator", path, {"In", "NotIn"});
  if (has(codes, "containerName") && !names_container(spec, string_or(codes, "containerName"))) {
    errors.push_back(FieldError::invalid(
        path.child("containerName"), string_or(codes, "containerName"),
        "must be one of the container or initContainer names in the pod template"));
  }
  check_exit_code_values(errors, codes, path.child("values"));
}

void check_conditions(FieldErrors& errors, const Json& conditions, const FieldPath& path) {
  if (conditions.size() > kMaxConditions) {
    errors.push_back(FieldError::too_many(path, conditions.size(), kMaxConditions));
  }
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    FieldPath at = path.index(i);
    std::string type = string_or(conditions[i], "type");
    add_invalid(errors, at.child("type"), type, check_qualified_name(type));
    check_choice(errors, conditions[i], "status", at, {"False", "True", "Unknown"});
  }
}

void check_failure_rule(FieldErrors& errors, const Json& rule, const Json& spec,
                        const FieldPath& path) {
  if (string_or(rule, "action") == "FailIndex") {
    if (!has(spec, "backoffLimitPerIndex")) {
      errors.push_back(FieldError::invalid(path.child("action"), "FailIndex",
                                           "requires the backoffLimitPerIndex to be set"));
    }
  } else {
    check_choice(errors, rule, "action", path, {"Count", "FailIndex", "FailJob", "Ignore"});
  }
  const Json* codes = member(rule, "onExitCodes");
  const Json& conditions = items(rule, "onPodConditions");
  if (codes) check_exit_codes(errors, *codes, spec, path.child("onExitCodes"));
  if (!conditions.empty()) check_conditions(errors, conditions, path.child("onPodConditions"));
  if (codes && !conditions.empty()) {
    errors.push_back(
        without_value(path, "specifying both OnExitCodes and OnPodConditions is not supported"));
  }
  if (!codes && conditions.empty()) {
    errors.push_back(
        without_value(path, "specifying one of OnExitCodes and OnPodConditions is required"));
  }
}

void check_success_rule(FieldErrors& errors, const Json& rule, std::int64_t completions,
                        const FieldPath& path) {
  bool has_count = has(rule, "succeededCount"), has_indexes = has(rule, "succeededIndexes");
  if (!has_count && !has_indexes) {
    errors.push_back(FieldError::required(
        path, "at least one of succeededCount or succeededIndexes must be specified"));
  }
  std::int64_t total = 0;
  if (has_indexes) {
    FieldPath at = path.child("succeededIndexes");
    std::string text = string_or(rule, "succeededIndexes");
    if (text.size() > kMaxIndexText) errors.push_back(FieldError::too_long(at, kMaxIndexText));
    auto intervals = parse_job_indexes(text, completions);
    if (intervals) {
      total = count_indexes(*intervals);
    } else {
      errors.push_back(FieldError::invalid(
          at, text, fmt::format("error parsing succeededIndexes: {}", intervals.error().message)));
    }
  }
  if (!has_count) return;
  FieldPath at = path.child("succeededCount");
  std::int64_t count = int_or(rule, "succeededCount");
  check_non_negative(errors, rule, "succeededCount", path);
  if (count > completions) {
    errors.push_back(FieldError::invalid(
        at, count,
        fmt::format("must be less than or equal to {} (the number of specified completions)",
                    completions)));
  }
  if (has_indexes && count > total) {
    errors.push_back(FieldError::invalid(
        at, count,
        fmt::format("must be less than or equal to {} (the number of indexes in the specified "
                    "succeededIndexes field)",
                    total)));
  }
}

}  // namespace

void check_pod_failure_policy(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& rules = items(object_of(spec, "podFailurePolicy"), "rules");
  FieldPath at = path.child("rules");
  if (rules.size() > kMaxRules) {
    errors.push_back(FieldError::too_many(at, rules.size(), kMaxRules));
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_failure_rule(errors, rules[i], spec, at.index(i));
  }
}

void check_success_policy(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& rules = items(object_of(spec, "successPolicy"), "rules");
  FieldPath at = path.child("rules");
  if (rules.empty()) {
    errors.push_back(FieldError::required(
        at, "at least one rules must be specified when the successPolicy is specified"));
  }
  if (rules.size() > kMaxRules) {
    errors.push_back(FieldError::too_many(at, rules.size(), kMaxRules));
  }
  std::int64_t completions = int_or(spec, "completions");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_success_rule(errors, rules[i], completions, at.index(i));
  }
}

}  // namespace moth::resources
