#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/selectors.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";

void check_label_name(FieldErrors& errors, const Json& object, std::string_view key,
                      const FieldPath& path) {
  std::string name = string_or(object, key);
  add_invalid(errors, path.child(key), name, check_qualified_name(name));
}

void check_node_requirement(FieldErrors& errors, const Json& requirement, const FieldPath& path) {
  std::string op = string_or(requirement, "operator");
  std::size_t values = items(requirement, "values").size();
  FieldPath at = path.child("values");
  if (op == "In" || op == "NotIn") {
    if (values == 0) {
      errors.push_back(
          FieldError::required(at, "must be specified when `operator` is 'In' or 'NotIn'"));
    }
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (values > 0) {
      errors.push_back(FieldError::forbidden(
          at, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    }
  } else if (op == "Gt" || op == "Lt") {
    if (values != 1) {
      errors.push_back(FieldError::required(
          at, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
    }
  } else {
    errors.push_back(
        FieldError::invalid(path.child("operator"), op, "not a valid selector operator"));
  }
  check_label_name(errors, requirement, "key", path);
}

void check_node_field(FieldErrors& errors, const Json& requirement, const FieldPath& path) {
  std::string op = string_or(requirement, "operator");
  if (op != "In" && op != "NotIn") {
    errors.push_back(
        FieldError::invalid(path.child("operator"), op, "not a valid selector operator"));
  } else if (items(requirement, "values").size() != 1) {
    errors.push_back(FieldError::required(
        path.child("values"),
        "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
  }
  std::string key = string_or(requirement, "key");
  if (key != "metadata.name") {
    errors.push_back(FieldError::invalid(path.child("key"), key, "not a valid field selector key"));
    return;
  }
  std::size_t i = 0;
  for (const std::string& value : strings(requirement, "values")) {
    add_invalid(errors, path.child("values").index(i++), value, check_dns1123_subdomain(value));
  }
}

void check_node_term(FieldErrors& errors, const Json& term, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& requirement : items(term, "matchExpressions")) {
    check_node_requirement(errors, requirement, path.child("matchExpressions").index(i++));
  }
  i = 0;
  for (const Json& requirement : items(term, "matchFields")) {
    check_node_field(errors, requirement, path.child("matchFields").index(i++));
  }
}

void check_weight(FieldErrors& errors, const Json& term, const FieldPath& path) {
  std::int64_t weight = int_or(term, "weight");
  if (weight < 1 || weight > 100) {
    errors.push_back(
        FieldError::invalid(path.child("weight"), weight, "must be in the range 1-100"));
  }
}

void check_node_selector(FieldErrors& errors, const Json& selector, const FieldPath& path) {
  FieldPath at = path.child("nodeSelectorTerms");
  const Json& terms = items(selector, "nodeSelectorTerms");
  if (terms.empty()) {
    errors.push_back(FieldError::required(at, "must have at least one node selector term"));
  }
  for (std::size_t i = 0; i < terms.size(); ++i) check_node_term(errors, terms[i], at.index(i));
}

void check_node_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path) {
  if (const Json* required = member(affinity, kRequired)) {
    check_node_selector(errors, *required, path.child(kRequired));
  }
  std::size_t i = 0;
  for (const Json& term : items(affinity, kPreferred)) {
    FieldPath at = path.child(kPreferred).index(i++);
    check_weight(errors, term, at);
    check_node_term(errors, object_of(term, "preference"), at.child("preference"));
  }
}

void check_selector(FieldErrors& errors, const Json& object, std::string_view key,
                    const FieldPath& path) {
  if (const Json* selector = member(object, key)) {
    append(errors, validate_label_selector(*selector, path.child(key)));
  }
}

void check_topology_key(FieldErrors& errors, const Json& object, const FieldPath& path) {
  if (check_required(errors, object, "topologyKey", path, "can not be empty")) {
    check_label_name(errors, object, "topologyKey", path);
  }
}

void check_pod_term(FieldErrors& errors, const Json& term, const FieldPath& path) {
  check_selector(errors, term, "labelSelector", path);
  check_selector(errors, term, "namespaceSelector", path);
  for (const std::string& name : strings(term, "namespaces")) {
    add_invalid(errors, path.child("namespace"), name, check_dns1123_label(name));
  }
  check_topology_key(errors, term, path);
}

void check_pod_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& term : items(affinity, kRequired)) {
    check_pod_term(errors, term, path.child(kRequired).index(i++));
  }
  i = 0;
  for (const Json& term : items(affinity, kPreferred)) {
    FieldPath at = path.child(kPreferred).index(i++);
    check_weight(errors, term, at);
    check_pod_term(errors, object_of(term, "podAffinityTerm"), at.child("podAffinityTerm"));
  }
}

void check_toleration_value(FieldErrors& errors, const Json& toleration, const FieldPath& path) {
  std::string op = string_or(toleration, "operator");
  std::string value = string_or(toleration, "value");
  FieldPath at = path.child("operator");
  if (op.empty() || op == "Equal") {
    if (Messages wrong = check_label_value(value); !wrong.empty()) {
      errors.push_back(FieldError::invalid(at, value, join(wrong, ";")));
    }
  } else if (op == "Exists") {
    if (!value.empty()) {
      errors.push_back(
          FieldError::invalid(at, toleration, "value must be empty when `operator` is 'Exists'"));
    }
  } else {
    errors.push_back(FieldError::not_supported(at, op, {"Equal", "Exists"}));
  }
}

}  // namespace

void check_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path) {
  if (const Json* node = member(affinity, "nodeAffinity")) {
    check_node_affinity(errors, *node, path.child("nodeAffinity"));
  }
  for (std::string_view key : {"podAffinity", "podAntiAffinity"}) {
    if (const Json* pod = member(affinity, key)) check_pod_affinity(errors, *pod, path.child(key));
  }
}

void check_volume_node_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path) {
  if (const Json* required = member(affinity, "required")) {
    check_node_selector(errors, *required, path.child("required"));
  } else {
    errors.push_back(
        FieldError::required(path.child("required"), "must specify required node constraints"));
  }
}

void check_tolerations(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& toleration : items(spec, "tolerations")) {
    FieldPath at = path.index(i++);
    check_name(errors, toleration, "key", at, check_qualified_name);
    std::string op = string_or(toleration, "operator");
    std::string effect = string_or(toleration, "effect");
    if (string_or(toleration, "key").empty() && op != "Exists") {
      errors.push_back(FieldError::invalid(
          at.child("operator"), op,
          "operator must be Exists when `key` is empty, which means \"match all values and all "
          "keys\""));
    }
    if (has(toleration, "tolerationSeconds") && effect != "NoExecute") {
      errors.push_back(
          FieldError::invalid(at.child("effect"), effect,
                              "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    check_toleration_value(errors, toleration, at);
    check_supported(errors, toleration, "effect", at,
                    {"NoSchedule", "PreferNoSchedule", "NoExecute"});
  }
}

void check_topology_spread(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& list = items(spec, "topologySpreadConstraints");
  auto identity = [](const Json& constraint) {
    return fmt::format("{{{}, {}}}", string_or(constraint, "topologyKey"),
                       string_or(constraint, "whenUnsatisfiable"));
  };
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& constraint = list[i];
    FieldPath at = path.index(i);
    std::int64_t skew = int_or(constraint, "maxSkew");
    if (skew <= 0) {
      errors.push_back(FieldError::invalid(at.child("maxSkew"), skew, "must be greater than zero"));
    }
    check_topology_key(errors, constraint, at);
    std::string action = string_or(constraint, "whenUnsatisfiable");
    if (action != "DoNotSchedule" && action != "ScheduleAnyway") {
      errors.push_back(FieldError::not_supported(at.child("whenUnsatisfiable"), action,
                                                 {"DoNotSchedule", "ScheduleAnyway"}));
    }
    for (std::size_t j = i + 1; j < list.size(); ++j) {
      if (identity(list[j]) != identity(constraint)) continue;
      errors.push_back(FieldError::duplicate(at.child("{topologyKey, whenUnsatisfiable}"),
                                             identity(constraint)));
    }
    if (const Json* domains = member(constraint, "minDomains")) {
      if (*domains <= 0) {
        errors.push_back(
            FieldError::invalid(at.child("minDomains"), *domains, "must be greater than zero"));
      }
      if (action != "DoNotSchedule") {
        errors.push_back(FieldError::invalid(
            at.child("minDomains"), *domains,
            fmt::format("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                        action)));
      }
    }
    check_supported(errors, constraint, "nodeAffinityPolicy", at, {"Honor", "Ignore"});
    check_supported(errors, constraint, "nodeTaintsPolicy", at, {"Honor", "Ignore"});
    check_selector(errors, constraint, "labelSelector", at);
  }
}

FieldErrors validate_taints(const Json& taints, const FieldPath& path) {
  FieldErrors errors;
  std::vector<std::pair<std::string, std::string>> seen;
  std::size_t i = 0;
  for (const Json& taint : taints) {
    FieldPath at = path.index(i++);
    check_label_name(errors, taint, "key", at);
    std::string value = string_or(taint, "value");
    if (Messages wrong = check_label_value(value); !wrong.empty()) {
      errors.push_back(FieldError::invalid(at.child("value"), value, join(wrong, ";")));
    }
    check_supported(errors, taint, "effect", at, {"NoSchedule", "PreferNoSchedule", "NoExecute"},
                    true);
    std::pair identity(string_or(taint, "key"), string_or(taint, "effect"));
    if (std::find(seen.begin(), seen.end(), identity) != seen.end()) {
      errors.push_back(FieldError::duplicate(at, taint));
    }
    seen.push_back(std::move(identity));
  }
  return errors;
}

}  // namespace moth::resources
