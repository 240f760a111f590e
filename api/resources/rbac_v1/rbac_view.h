#pragma once
// What the authorizer reads of RBAC objects. Views are built and kept by `object.view<RoleView>()`
// on the control thread and are valid as long as their object.
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"

namespace moth::resources {

// Verbs that are allowed on resources, or (when `non_resource_urls` is not empty) on paths.
struct PolicyRule {
  std::vector<std::string> verbs, api_groups, resources, resource_names, non_resource_urls;
  bool operator==(const PolicyRule&) const = default;
};

// The rules of a list as it stands in a Role or in an aggregated ClusterRole.
std::vector<PolicyRule> parse_policy_rules(const Json& rules);

// A Role or a ClusterRole.
class RoleView {
 public:
  explicit RoleView(const Object& object);

  std::vector<PolicyRule> rules;
  // aggregationRule.clusterRoleSelectors: whose rules a controller puts together into `rules`.
  std::vector<LabelSelector> aggregates;
  bool is_aggregated = false;
};

struct Subject {
  enum class Kind { kUser, kGroup, kServiceAccount };
  Kind kind = Kind::kUser;
  std::string name;
  // Of a service account; empty in a RoleBinding stands for the binding's own namespace.
  std::string ns;
};

// A RoleBinding or a ClusterRoleBinding. Subjects of unknown kinds are left out: they match nobody.
class RoleBindingView {
 public:
  explicit RoleBindingView(const Object& object);

  std::vector<Subject> subjects;
  bool to_cluster_role = false;  // else to the Role of this name in the binding's namespace
  std::string role;
};

}  // namespace moth::resources
