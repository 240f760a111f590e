#include "api/resources/rbac_v1/rbac_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

std::vector<PolicyRule> parse_policy_rules(const Json& rules) {
  std::vector<PolicyRule> out;
  if (!rules.is_array()) return out;
  for (const Json& rule : rules) {
    out.push_back({strings(rule, "verbs"), strings(rule, "apiGroups"), strings(rule, "resources"),
                   strings(rule, "resourceNames"), strings(rule, "nonResourceURLs")});
  }
  return out;
}

RoleView::RoleView(const Object& object) {
  auto dom = object.dom();
  rules = parse_policy_rules(items(*dom, "rules"));
  const Json* aggregation = member(*dom, "aggregationRule");
  is_aggregated = aggregation != nullptr;
  if (!aggregation) return;
  for (const Json& selector : items(*aggregation, "clusterRoleSelectors")) {
    // A selector that does not hold was refused by validation; here it selects nothing.
    auto parsed = LabelSelector::from_json(selector);
    aggregates.push_back(parsed ? *std::move(parsed) : LabelSelector::nothing());
  }
}

RoleBindingView::RoleBindingView(const Object& object) {
  auto dom = object.dom();
  const Json& reference = object_of(*dom, "roleRef");
  to_cluster_role = string_or(reference, "kind") == "ClusterRole";
  role = string_or(reference, "name");
  for (const Json& subject : items(*dom, "subjects")) {
    std::string kind = string_or(subject, "kind");
    Subject::Kind parsed;
    if (kind == "User") {
      parsed = Subject::Kind::kUser;
    } else if (kind == "Group") {
      parsed = Subject::Kind::kGroup;
    } else if (kind == "ServiceAccount") {
      parsed = Subject::Kind::kServiceAccount;
    } else {
      continue;
    }
    subjects.push_back({parsed, string_or(subject, "name"), string_or(subject, "namespace")});
  }
}

}  // namespace moth::resources
