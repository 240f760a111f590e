#include <fmt/format.h>

#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "api/resources/autoscaling_v2/hpa_rules.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kMaxWindow = 3600;
constexpr std::int64_t kMaxPeriod = 1800;

void check_reference(FieldErrors& errors, const Json& reference, const FieldPath& path) {
  for (std::string_view key : {"kind", "name"}) {
    if (check_required(errors, reference, key, path)) {
      check_name(errors, reference, key, path, check_path_segment_name);
    }
  }
}

int sign_of(const Json& target, std::string_view key) {
  const Json* value = member(target, key);
  auto quantity = value ? Quantity::from_json(*value) : Result<Quantity>(Quantity());
  return quantity ? quantity->sign() : 0;
}

void check_target(FieldErrors& errors, const Json& target, const FieldPath& path) {
  std::string type = string_or(target, "type");
  if (type.empty()) {
    errors.push_back(FieldError::required(path.child("type"), "must specify a metric target type"));
  }
  if (type != "Utilization" && type != "Value" && type != "AverageValue") {
    errors.push_back(FieldError::invalid(path.child("type"), type,
                                         "must be either Utilization, Value, or AverageValue"));
  }
  for (std::string_view key : {"value", "averageValue"}) {
    const Json* value = member(target, key);
    if (value && sign_of(target, key) != 1) {
      errors.push_back(FieldError::invalid(path.child(key), *value, "must be positive"));
    }
  }
  const Json* utilization = member(target, "averageUtilization");
  if (utilization && *utilization < 1) {
    errors.push_back(FieldError::invalid(path.child("averageUtilization"), *utilization,
                                         "must be greater than 0"));
  }
}

void check_metric_name(FieldErrors& errors, const Json& source, const FieldPath& path) {
  FieldPath at = path.child("metric");
  const Json& metric = object_of(source, "metric");
  if (check_required(errors, metric, "name", at, "must specify a metric name")) {
    check_name(errors, metric, "name", at, check_path_segment_name);
  }
  if (const Json* selector = member(metric, "selector")) {
    append(errors, validate_label_selector(*selector, at.child("selector")));
  }
}

void check_resource_source(FieldErrors& errors, const Json& source, const FieldPath& path,
                           bool container) {
  check_required(errors, source, "name", path, "must specify a resource name");
  if (container) check_required(errors, source, "container", path, "must specify a container");
  const Json& target = object_of(source, "target");
  FieldPath at = path.child("target");
  check_target(errors, target, at);
  bool utilization = has(target, "averageUtilization"), value = has(target, "averageValue");
  if (!utilization && !value) {
    errors.push_back(
        FieldError::required(at.child("averageUtilization"),
                             "must set either a target raw value or a target utilization"));
  }
  if (utilization && value) {
    errors.push_back(FieldError::forbidden(
        at.child("averageValue"), "may not set both a target raw value and a target utilization"));
  }
}

void check_pods_source(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_metric_name(errors, source, path);
  const Json& target = object_of(source, "target");
  check_target(errors, target, path.child("target"));
  if (sign_of(target, "averageValue") != 1) {
    errors.push_back(FieldError::required(path.child("target", "averageValue"),
                                          "must specify a positive target averageValue"));
  }
}

void check_object_source(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_reference(errors, object_of(source, "describedObject"), path.child("describedObject"));
  check_metric_name(errors, source, path);
  const Json& target = object_of(source, "target");
  check_target(errors, target, path.child("target"));
  if (!has(target, "value") && !has(target, "averageValue")) {
    errors.push_back(FieldError::required(path.child("target", "averageValue"),
                                          "must set either a target value or averageValue"));
  }
}

void check_external_source(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_metric_name(errors, source, path);
  const Json& target = object_of(source, "target");
  check_target(errors, target, path.child("target"));
  bool value = has(target, "value"), average = has(target, "averageValue");
  if (!value && !average) {
    errors.push_back(
        FieldError::required(path.child("target", "averageValue"),
                             "must set either a target value for metric or a per-pod target"));
  }
  if (value && average) {
    errors.push_back(
        FieldError::forbidden(path.child("target", "value"),
                              "may not set both a target value for metric and a per-pod target"));
  }
}

struct SourceRow {
  const char* type;
  const char* member;
};
// In upstream's order of looking.
constexpr std::array kSources = {SourceRow{"Object", "object"}, SourceRow{"External", "external"},
                                 SourceRow{"Pods", "pods"}, SourceRow{"Resource", "resource"},
                                 SourceRow{"ContainerResource", "containerResource"}};

void check_source(FieldErrors& errors, std::string_view key, const Json& source,
                  const FieldPath& path) {
  if (key == "object") return check_object_source(errors, source, path);
  if (key == "external") return check_external_source(errors, source, path);
  if (key == "pods") return check_pods_source(errors, source, path);
  check_resource_source(errors, source, path, key == "containerResource");
}

void check_metric(FieldErrors& errors, const Json& metric, const FieldPath& path) {
  std::string type = string_or(metric, "type");
  if (type.empty()) {
    errors.push_back(FieldError::required(path.child("type"), "must specify a metric source type"));
  }
  std::string expected;
  std::size_t present = 0;
  for (const SourceRow& row : kSources) {
    if (type == row.type) expected = row.member;
    const Json* source = member(metric, row.member);
    if (source && ++present == 1) {
      check_source(errors, row.member, *source, path.child(row.member));
    }
  }
  if (expected.empty()) {
    errors.push_back(FieldError::not_supported(
        path.child("type"), type, {"ContainerResource", "External", "Object", "Pods", "Resource"}));
  } else if (!has(metric, expected)) {
    errors.push_back(FieldError::required(path.child(expected),
                                          "must populate information for the given metric source"));
  }
  if (present == 1) return;
  for (const SourceRow& row : kSources) {
    if (row.member == expected || !has(metric, row.member)) continue;
    errors.push_back(FieldError::forbidden(path.child(row.member),
                                           "must populate the given metric source only"));
  }
}

void check_policy(FieldErrors& errors, const Json& policy, const FieldPath& path) {
  std::string type = string_or(policy, "type");
  if (type != "Pods" && type != "Percent") {
    errors.push_back(FieldError::not_supported(path.child("type"), type, {"Percent", "Pods"}));
  }
  for (std::string_view key : {"value", "periodSeconds"}) {
    std::int64_t number = int_or(policy, key);
    if (number <= 0) {
      errors.push_back(FieldError::invalid(path.child(key), number, "must be greater than zero"));
    }
  }
  if (std::int64_t period = int_or(policy, "periodSeconds"); period > kMaxPeriod) {
    errors.push_back(
        FieldError::invalid(path.child("periodSeconds"), period,
                            fmt::format("must be less than or equal to {}", kMaxPeriod)));
  }
}

void check_rules(FieldErrors& errors, const Json& behavior, std::string_view key,
                 const FieldPath& parent) {
  const Json* rules = member(behavior, key);
  if (!rules) return;
  FieldPath path = parent.child(key);
  if (const Json* window = member(*rules, "stabilizationWindowSeconds")) {
    FieldPath at = path.child("stabilizationWindowSeconds");
    if (*window < 0) {
      errors.push_back(FieldError::invalid(at, *window, "must be greater than or equal to zero"));
    }
    if (*window > kMaxWindow) {
      errors.push_back(FieldError::invalid(
          at, *window, fmt::format("must be less than or equal to {}", kMaxWindow)));
    }
  }
  check_supported(errors, *rules, "selectPolicy", path, {"Disabled", "Max", "Min"});
  const Json& policies = items(*rules, "policies");
  if (policies.empty()) {
    errors.push_back(
        FieldError::required(path.child("policies"), "must specify at least one Policy"));
  }
  for (std::size_t i = 0; i < policies.size(); ++i) {
    check_policy(errors, policies[i], path.child("policies").index(i));
  }
  if (sign_of(*rules, "tolerance") < 0) {
    errors.push_back(FieldError::invalid(path.child("tolerance"), *member(*rules, "tolerance"),
                                         "must be greater or equal to zero"));
  }
}

}  // namespace

FieldErrors validate_hpa(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  std::int64_t min = int_or(spec, "minReplicas", 1), max = int_or(spec, "maxReplicas");
  if (min < 1) {
    errors.push_back(
        FieldError::invalid(path.child("minReplicas"), min, "must be greater than or equal to 1"));
  }
  if (max < 1) {
    errors.push_back(FieldError::invalid(path.child("maxReplicas"), max, "must be greater than 0"));
  }
  if (max < min) {
    errors.push_back(FieldError::invalid(path.child("maxReplicas"), max,
                                         "must be greater than or equal to `minReplicas`"));
  }
  check_reference(errors, object_of(spec, "scaleTargetRef"), path.child("scaleTargetRef"));
  std::size_t i = 0;
  for (const Json& metric : items(spec, "metrics")) {
    check_metric(errors, metric, path.child("metrics").index(i++));
  }
  const Json& behavior = object_of(spec, "behavior");
  check_rules(errors, behavior, "scaleUp", path.child("behavior"));
  check_rules(errors, behavior, "scaleDown", path.child("behavior"));
  return errors;
}

}  // namespace moth::resources
