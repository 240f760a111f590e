#include <charconv>

#include "api/resources/core_v1/container_parse.h"
#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr std::string_view kPreferred = "preferredDuringSchedulingIgnoredDuringExecution";

SelectorOperator parse_operator(std::string_view text) {
  if (text == "NotIn") return SelectorOperator::kNotIn;
  if (text == "Exists") return SelectorOperator::kExists;
  if (text == "DoesNotExist") return SelectorOperator::kDoesNotExist;
  if (text == "Gt") return SelectorOperator::kGreaterThan;
  if (text == "Lt") return SelectorOperator::kLessThan;
  return SelectorOperator::kIn;
}

std::vector<NodeRequirement> parse_requirements(const Json& term, std::string_view key) {
  std::vector<NodeRequirement> out;
  for (const Json& item : items(term, key)) {
    out.push_back({string_or(item, "key"), parse_operator(string_or(item, "operator")),
                   strings(item, "values")});
  }
  return out;
}

NodeTerm parse_node_term(const Json& json) {
  return {parse_requirements(json, "matchExpressions"), parse_requirements(json, "matchFields")};
}

PodAffinityTerm parse_pod_term(const Json& json) {
  PodAffinityTerm out;
  out.selector = selector_at(json, "labelSelector");
  out.namespaces = strings(json, "namespaces");
  if (has(json, "namespaceSelector"))
    out.namespace_selector = selector_at(json, "namespaceSelector");
  out.topology_key = string_or(json, "topologyKey");
  return out;
}

void parse_pod_terms(const Json& json, std::vector<PodAffinityTerm>& required,
                     std::vector<WeightedPodAffinityTerm>& preferred) {
  for (const Json& item : items(json, kRequired)) required.push_back(parse_pod_term(item));
  for (const Json& item : items(json, kPreferred)) {
    preferred.push_back(
        {int32_or(item, "weight"), parse_pod_term(object_of(item, "podAffinityTerm"))});
  }
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool holds(const NodeRequirement& requirement, const std::string* value) {
  auto contains = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), *value) !=
           requirement.values.end();
  };
  switch (requirement.op) {
    case SelectorOperator::kIn:
    case SelectorOperator::kEquals:
      return value && contains();
    case SelectorOperator::kNotIn:
    case SelectorOperator::kNotEquals:
      return !value || !contains();
    case SelectorOperator::kExists:
      return value != nullptr;
    case SelectorOperator::kDoesNotExist:
      return value == nullptr;
    case SelectorOperator::kGreaterThan:
    case SelectorOperator::kLessThan: {
      if (!value || requirement.values.size() != 1) return false;
      auto have = parse_number(*value);
      auto bound = parse_number(requirement.values.front());
      if (!have || !bound) return false;
      return requirement.op == SelectorOperator::kGreaterThan ? *have > *bound : *have < *bound;
    }
  }
  return false;
}

}  // namespace

Affinity parse_affinity(const Json& json) {
  Affinity out;
  const Json& node = object_of(json, "nodeAffinity");
  if (const Json* required = member(node, kRequired)) {
    out.node_required.emplace();
    for (const Json& term : items(*required, "nodeSelectorTerms")) {
      out.node_required->push_back(parse_node_term(term));
    }
  }
  for (const Json& item : items(node, kPreferred)) {
    out.node_preferred.push_back(
        {int32_or(item, "weight"), parse_node_term(object_of(item, "preference"))});
  }
  parse_pod_terms(object_of(json, "podAffinity"), out.pod_required, out.pod_preferred);
  parse_pod_terms(object_of(json, "podAntiAffinity"), out.pod_anti_required,
                  out.pod_anti_preferred);
  return out;
}

std::vector<Toleration> parse_tolerations(const Json& list) {
  std::vector<Toleration> out;
  for (const Json& item : list) {
    Toleration one;
    one.key = string_or(item, "key");
    one.value = string_or(item, "value");
    one.effect = string_or(item, "effect");
    if (std::string op = string_or(item, "operator"); !op.empty()) one.op = op;
    one.seconds = optional_int(item, "tolerationSeconds");
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<Taint> parse_taints(const Json& list) {
  std::vector<Taint> out;
  for (const Json& item : list) {
    out.push_back({string_or(item, "key"), string_or(item, "value"), string_or(item, "effect")});
  }
  return out;
}

std::vector<TopologySpreadConstraint> parse_topology_spread(const Json& list) {
  std::vector<TopologySpreadConstraint> out;
  for (const Json& item : list) {
    TopologySpreadConstraint one;
    one.max_skew = int32_or(item, "maxSkew", 1);
    one.min_domains = int32_or(item, "minDomains", 1);
    one.topology_key = string_or(item, "topologyKey");
    one.schedule_anyway = string_or(item, "whenUnsatisfiable") == "ScheduleAnyway";
    one.selector = selector_at(item, "labelSelector");
    one.honor_affinity = string_or(item, "nodeAffinityPolicy", "Honor") == "Honor";
    one.honor_taints = string_or(item, "nodeTaintsPolicy", "Ignore") == "Honor";
    out.push_back(std::move(one));
  }
  return out;
}

bool tolerates(const Toleration& toleration, const Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.op == "Exists") return true;
  if (toleration.op == "Equal") return toleration.value == taint.value;
  auto bound = parse_number(toleration.value);
  auto have = parse_number(taint.value);
  if (!bound || !have) return false;
  return toleration.op == "Lt" ? *have < *bound : toleration.op == "Gt" && *have > *bound;
}

bool tolerates(const std::vector<Toleration>& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(),
                     [&](const Toleration& one) { return tolerates(one, taint); });
}

bool matches(const NodeTerm& term, const Labels& node_labels, std::string_view node_name) {
  if (term.expressions.empty() && term.fields.empty()) return false;
  for (const NodeRequirement& requirement : term.expressions) {
    auto it = node_labels.find(requirement.key);
    if (!holds(requirement, it == node_labels.end() ? nullptr : &it->second)) return false;
  }
  const std::string name(node_name);
  for (const NodeRequirement& requirement : term.fields) {
    if (!holds(requirement, requirement.key == "metadata.name" ? &name : nullptr)) return false;
  }
  return true;
}

}  // namespace moth::resources
