#include "daemon/controllers/clusterroleaggregation/aggregation_plan.h"

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/rbac_v1/rbac_view.h"

namespace moth::controllers {

Json aggregated_rules(const Object& role, const std::vector<ObjectPtr>& roles) {
  Json rules = Json::array();
  for (const LabelSelector& selector : role.view<resources::RoleView>().aggregates) {
    for (const ObjectPtr& part : roles) {
      if (part->name() == role.name() || !selector.matches(part->meta().labels)) continue;
      auto dom = part->dom();
      const Json* given = find_member(*dom, "rules");
      if (!given || !given->is_array()) continue;
      for (const Json& rule : *given) {
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
      }
    }
  }
  return rules;
}

}  // namespace moth::controllers
