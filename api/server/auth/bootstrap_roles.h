#pragma once
// The built-in roles as a table. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "api/resources/rbac_v1/rbac_view.h"

namespace moth::server {

struct BuiltinRole {
  std::string name;
  std::vector<resources::PolicyRule> rules;
  // "view", "edit" or "admin": carries the label that puts its rules into that role.
  std::vector<std::string> aggregate_to{};
  // Its rules are those of all roles that aggregate to this; empty: its own.
  std::string aggregates{};
};
std::vector<BuiltinRole> builtin_cluster_roles();
// For the daemon's controllers, as system:controller:NAME bound to the account NAME in kube-system.
std::vector<BuiltinRole> builtin_controller_roles();
std::vector<resources::PolicyRule> node_rules();

struct BuiltinBinding {
  std::string name, role;
  std::vector<resources::Subject> subjects;
};
std::vector<BuiltinBinding> builtin_cluster_role_bindings();

}  // namespace moth::server
