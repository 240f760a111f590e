#include "api/resources/autoscaling_v2/hpa_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

CrossVersionReference parse_reference(const Json& json) {
  return {string_or(json, "apiVersion"), string_or(json, "kind"), string_or(json, "name")};
}

void parse_target(const Json& json, HpaMetric& out) {
  std::string type = string_or(json, "type");
  out.target = type == "Utilization"    ? HpaMetric::Target::kUtilization
               : type == "AverageValue" ? HpaMetric::Target::kAverageValue
                                        : HpaMetric::Target::kValue;
  out.average_utilization = int32_or(json, "averageUtilization");
  const char* key = out.target == HpaMetric::Target::kAverageValue ? "averageValue" : "value";
  out.value = Quantity::parse_or_zero(string_or(json, key, "0"));
}

HpaMetric parse_metric(const Json& json) {
  struct Row {
    const char* type;
    const char* member;
    HpaMetric::Source source;
  };
  static constexpr Row kRows[] = {
      {"Resource", "resource", HpaMetric::Source::kResource},
      {"ContainerResource", "containerResource", HpaMetric::Source::kContainerResource},
      {"Pods", "pods", HpaMetric::Source::kPods},
      {"Object", "object", HpaMetric::Source::kObject},
      {"External", "external", HpaMetric::Source::kExternal}};
  HpaMetric out;
  std::string type = string_or(json, "type");
  for (const Row& row : kRows) {
    if (type != row.type) continue;
    out.source = row.source;
    const Json& source = object_of(json, row.member);
    const Json& metric = object_of(source, "metric");
    out.name = string_or(metric, "name", string_or(source, "name"));
    out.container = string_or(source, "container");
    if (has(metric, "selector")) out.selector = selector_at(metric, "selector");
    out.described_object = parse_reference(object_of(source, "describedObject"));
    parse_target(object_of(source, "target"), out);
  }
  return out;
}

// `rules` keeps its defaults for what is not given.
void parse_rules(const Json& behavior, std::string_view key, HpaRules& rules) {
  const Json* json = member(behavior, key);
  if (!json) return;
  std::string select = string_or(*json, "selectPolicy", "Max");
  rules.select = select == "Disabled" ? HpaRules::Select::kDisabled
                 : select == "Min"    ? HpaRules::Select::kMin
                                      : HpaRules::Select::kMax;
  if (auto window = optional_seconds(*json, "stabilizationWindowSeconds")) rules.window = window;
  if (has(*json, "tolerance")) {
    rules.tolerance = Quantity::parse_or_zero(string_or(*json, "tolerance")).as_double();
  }
  if (items(*json, "policies").empty()) return;
  rules.policies.clear();
  for (const Json& policy : items(*json, "policies")) {
    rules.policies.push_back({string_or(policy, "type") == "Percent", int32_or(policy, "value"),
                              seconds_or(policy, "periodSeconds", 15)});
  }
}

}  // namespace

HpaView::HpaView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  target = parse_reference(object_of(spec, "scaleTargetRef"));
  min_replicas = int32_or(spec, "minReplicas", 1);
  max_replicas = int32_or(spec, "maxReplicas");
  for (const Json& json : items(spec, "metrics")) metrics.push_back(parse_metric(json));

  using std::chrono::seconds;
  scale_up.policies = {{false, 4, seconds(15)}, {true, 100, seconds(15)}};
  scale_up.window = seconds(0);
  scale_down.policies = {{true, 100, seconds(15)}};
  const Json& behavior = object_of(spec, "behavior");
  has_behavior = has(spec, "behavior");
  parse_rules(behavior, "scaleUp", scale_up);
  parse_rules(behavior, "scaleDown", scale_down);

  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.current_replicas = int32_or(json, "currentReplicas");
  status.desired_replicas = int32_or(json, "desiredReplicas");
  status.last_scale_time = optional_time(json, "lastScaleTime");
  status.conditions = parse_conditions(items(json, "conditions"));
}

}  // namespace moth::resources
