#include "api/base/json.h"
#include "api/resources/autoscaling_v2/hpa_rules.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr int kCpuPercent = 80;
constexpr int kPeriodSeconds = 15;

Json policy(const char* type, int value) {
  return {{"type", type}, {"value", value}, {"periodSeconds", kPeriodSeconds}};
}

void set_rule_defaults(Json& behavior, const char* key, Json policies) {
  Json& rules = object_at(behavior, key);
  default_text(rules, "selectPolicy", "Max");
  if (!has(rules, "policies")) rules["policies"] = std::move(policies);
}

}  // namespace

void set_hpa_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "minReplicas", 1);
  if (items(spec, "metrics").empty()) {
    spec["metrics"] = Json::array(
        {{{"type", "Resource"},
          {"resource",
           {{"name", "cpu"},
            {"target", {{"type", "Utilization"}, {"averageUtilization", kCpuPercent}}}}}}});
  }
  Json* behavior = member(spec, "behavior");
  if (!behavior) return;
  // One rule given means that both are written out in full; the window of scaling down stays the
  // controller's own when it is not given.
  set_rule_defaults(*behavior, "scaleUp", Json::array({policy("Pods", 4), policy("Percent", 100)}));
  default_to((*behavior)["scaleUp"], "stabilizationWindowSeconds", 0);
  set_rule_defaults(*behavior, "scaleDown", Json::array({policy("Percent", 100)}));
}

}  // namespace moth::resources
