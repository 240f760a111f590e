#include "api/resources/policy_v1/pod_disruption_budget_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

std::optional<IntOrString> optional_amount(const Json& spec, std::string_view key) {
  if (!has(spec, key)) return std::nullopt;
  return int_or_string(spec, key, IntOrString::of(0));
}

}  // namespace

PodDisruptionBudgetView::PodDisruptionBudgetView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  selector = selector_at(spec, "selector");
  min_available = optional_amount(spec, "minAvailable");
  max_unavailable = optional_amount(spec, "maxUnavailable");
  always_allow_unhealthy = string_or(spec, "unhealthyPodEvictionPolicy") == "AlwaysAllow";

  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.disruptions_allowed = int32_or(json, "disruptionsAllowed");
  status.current_healthy = int32_or(json, "currentHealthy");
  status.desired_healthy = int32_or(json, "desiredHealthy");
  status.expected_pods = int32_or(json, "expectedPods");
  const Json& disrupted = object_of(json, "disruptedPods");
  for (const auto& [name, time] : disrupted.items()) {
    if (auto at = optional_time(disrupted, name)) status.disrupted.emplace(name, *at);
  }
  status.conditions = parse_conditions(items(json, "conditions"));
}

}  // namespace moth::resources
