#include "api/server/auth/node_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/server/auth/bootstrap_roles.h"
#include "api/server/auth/rbac.h"

namespace moth::server {
namespace {

constexpr std::string_view kPrefix = "system:node:";

// Objects that a node may see only if a pod on it uses them.
bool needs_relation(const Attributes& wanted) {
  constexpr std::array<std::string_view, 4> kKinds = {
      "secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes"};
  if (!wanted.group.empty()) return false;
  if (wanted.resource == "serviceaccounts") return true;
  return std::find(kKinds.begin(), kKinds.end(), wanted.resource) != kKinds.end();
}

bool of_another_node(const Attributes& wanted, std::string_view node) {
  bool own_by_name = (wanted.group.empty() && wanted.resource == "nodes") ||
                     (wanted.group == "coordination.k8s.io" && wanted.resource == "leases") ||
                     (wanted.group == "storage.k8s.io" && wanted.resource == "csinodes");
  bool reads = wanted.verb == "get" || wanted.verb == "list" || wanted.verb == "watch";
  return own_by_name && !wanted.name.empty() && wanted.name != node &&
         (!reads || wanted.resource != "nodes");
}

}  // namespace

Verdict node_verdict(const UserInfo& user, const Attributes& wanted) {
  if (!user.name.starts_with(kPrefix) || !user.in_group("system:nodes")) return {};
  std::string_view node = std::string_view(user.name).substr(kPrefix.size());
  if (wanted.is_resource && needs_relation(wanted)) {
    return {false, fmt::format("no relationship found between node '{}' and this object", node)};
  }
  if (wanted.is_resource && of_another_node(wanted, node)) {
    return {false, fmt::format("node '{}' is not allowed to access another node's object", node)};
  }
  static const std::vector<resources::PolicyRule> kRules = node_rules();
  bool allowed = std::any_of(kRules.begin(), kRules.end(), [&](const resources::PolicyRule& rule) {
    return rbac::allows(rule, wanted);
  });
  return {allowed, ""};
}

}  // namespace moth::server
