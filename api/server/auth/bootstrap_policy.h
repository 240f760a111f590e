#pragma once
// The roles and bindings that every cluster has, with upstream's names and rules, as objects of
// rbac.authorization.k8s.io/v1 ready to be created. Pure.
#include <memory>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/server/auth/authorizer.h"

namespace moth::server {

struct BootstrapPolicy {
  std::vector<Json> cluster_roles, cluster_role_bindings, roles, role_bindings;
};
BootstrapPolicy bootstrap_policy();
// The same as a policy to evaluate.
std::shared_ptr<const Policy> default_policy();

// What `object` (as the cluster has it) lacks of the built-in one: its labels, annotations, rules
// or subjects; additions of the user stay. Null: nothing, or updates are switched off by the
// annotation rbac.authorization.kubernetes.io/autoupdate=false. A binding with another roleRef has
// `recreate` set: the reference of one that exists cannot change.
struct PolicyRepair {
  std::shared_ptr<Json> object;
  bool recreate = false;
};
PolicyRepair repair_policy_object(const Json& object, const Json& wanted);

}  // namespace moth::server
