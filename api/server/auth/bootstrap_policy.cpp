#include "api/server/auth/bootstrap_policy.h"

#include <algorithm>
#include <map>

#include "api/base/json.h"
#include "api/server/auth/bootstrap_roles.h"
#include "api/server/auth/rbac.h"
#include "api/server/auth/rbac_index.h"

namespace moth::server {
namespace {

using rbac::PolicyRule;
using resources::Subject;

constexpr const char* kGroup = "rbac.authorization.k8s.io";
constexpr const char* kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

Json base(const char* kind, const std::string& name, const std::string& ns) {
  Json metadata = {{"name", name},
                   {"labels", {{"kubernetes.io/bootstrapping", "rbac-defaults"}}},
                   {"annotations", {{kAutoUpdate, "true"}}}};
  if (!ns.empty()) metadata["namespace"] = ns;
  return {{"apiVersion", "rbac.authorization.k8s.io/v1"},
          {"kind", kind},
          {"metadata", std::move(metadata)}};
}

Json rules_json(const std::vector<PolicyRule>& rules) {
  Json list = Json::array();
  for (const PolicyRule& rule : rules) list.push_back(rbac::to_json(rule));
  return list;
}

Json subject_json(const Subject& subject) {
  switch (subject.kind) {
    case Subject::Kind::kUser:
      return {{"kind", "User"}, {"apiGroup", kGroup}, {"name", subject.name}};
    case Subject::Kind::kGroup:
      return {{"kind", "Group"}, {"apiGroup", kGroup}, {"name", subject.name}};
    case Subject::Kind::kServiceAccount:
      break;
  }
  return {{"kind", "ServiceAccount"}, {"name", subject.name}, {"namespace", subject.ns}};
}

Json binding_json(const char* kind, const std::string& ns, const BuiltinBinding& binding) {
  Json object = base(kind, binding.name, ns);
  const char* role_kind = ns.empty() ? "ClusterRole" : "Role";
  object["roleRef"] = {{"apiGroup", kGroup}, {"kind", role_kind}, {"name", binding.role}};
  for (const Subject& subject : binding.subjects)
    object["subjects"].push_back(subject_json(subject));
  return object;
}

std::string aggregation_label(const std::string& target) {
  return "rbac.authorization.k8s.io/aggregate-to-" + target;
}

std::vector<BuiltinRole> all_cluster_roles() {
  std::vector<BuiltinRole> roles = builtin_cluster_roles();
  for (BuiltinRole& role : builtin_controller_roles()) {
    role.name = "system:controller:" + role.name;
    roles.push_back(std::move(role));
  }
  // Those that aggregate get their rules here too, so that they hold from the first moment on; the
  // controller comes to the same. view before edit before admin, since each contains the one
  // before.
  auto by_name = [&](std::string_view name) {
    return std::find_if(roles.begin(), roles.end(),
                        [&](const BuiltinRole& role) { return role.name == name; });
  };
  for (const char* name : {"view", "edit", "admin"}) {
    std::map<std::string, const BuiltinRole*> parts;
    for (const BuiltinRole& role : roles) {
      if (std::find(role.aggregate_to.begin(), role.aggregate_to.end(), name) !=
          role.aggregate_to.end())
        parts.emplace(role.name, &role);
    }
    std::vector<PolicyRule> rules;
    for (const auto& [part_name, part] : parts) {
      for (const PolicyRule& rule : part->rules) {
        if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
      }
    }
    by_name(name)->rules = std::move(rules);
  }
  return roles;
}

std::vector<BuiltinBinding> all_cluster_role_bindings() {
  std::vector<BuiltinBinding> bindings = builtin_cluster_role_bindings();
  for (const BuiltinRole& role : builtin_controller_roles()) {
    std::string name = "system:controller:" + role.name;
    bindings.push_back({name, name, {{Subject::Kind::kServiceAccount, role.name, "kube-system"}}});
  }
  return bindings;
}

const char* const kReader = "extension-apiserver-authentication-reader";

// Whether every member of `wanted` is in `list`.
void add_missing(Json& list, const Json& wanted, bool& changed) {
  if (!list.is_array()) list = Json::array();
  for (const Json& entry : wanted) {
    if (std::find(list.begin(), list.end(), entry) != list.end()) continue;
    list.push_back(entry);
    changed = true;
  }
}

void add_missing_texts(Json& metadata, const char* field, const Json& wanted, bool& changed) {
  for (const auto& [key, value] : wanted.items()) {
    Json& map = metadata[field];
    if (!map.is_object()) map = Json::object();
    if (map.contains(key)) continue;
    map[key] = value;
    changed = true;
  }
}

}  // namespace

BootstrapPolicy bootstrap_policy() {
  BootstrapPolicy policy;
  for (const BuiltinRole& role : all_cluster_roles()) {
    Json object = base("ClusterRole", role.name, "");
    for (const std::string& target : role.aggregate_to)
      object["metadata"]["labels"][aggregation_label(target)] = "true";
    if (!role.aggregates.empty()) {
      object["aggregationRule"]["clusterRoleSelectors"] =
          Json::array({{{"matchLabels", {{aggregation_label(role.aggregates), "true"}}}}});
    }
    object["rules"] = rules_json(role.rules);
    policy.cluster_roles.push_back(std::move(object));
  }
  for (const BuiltinBinding& binding : all_cluster_role_bindings())
    policy.cluster_role_bindings.push_back(binding_json("ClusterRoleBinding", "", binding));
  Json reader = base("Role", kReader, "kube-system");
  reader["rules"] = rules_json({{{"get", "list", "watch"},
                                 {""},
                                 {"configmaps"},
                                 {"extension-apiserver-authentication"},
                                 {}}});
  policy.roles.push_back(std::move(reader));
  return policy;
}

std::shared_ptr<const Policy> default_policy() {
  std::map<std::string, rbac::Rules> roles;
  for (BuiltinRole& role : all_cluster_roles()) {
    roles.emplace(role.name,
                  std::make_shared<const std::vector<PolicyRule>>(std::move(role.rules)));
  }
  std::map<std::string, std::shared_ptr<const rbac::Binding>> bindings;
  for (BuiltinBinding& binding : all_cluster_role_bindings()) {
    std::string name = binding.name;
    bindings.emplace(name, std::make_shared<const rbac::Binding>(rbac::Binding{
                               name, binding.role, true, std::move(binding.subjects)}));
  }
  return std::make_shared<const rbac::RbacPolicy>(
      std::make_shared<const rbac::Scope>("", std::move(roles), std::move(bindings)),
      std::map<std::string, std::shared_ptr<const rbac::Scope>>{});
}

PolicyRepair repair_policy_object(const Json& object, const Json& wanted) {
  const Json* annotations = find_path(object, "metadata", "annotations");
  if (annotations && string_or(*annotations, kAutoUpdate) == "false") return {nullptr, false};
  Json repaired = object;
  bool changed = false;
  auto finish = [&] {
    return PolicyRepair{changed ? std::make_shared<Json>(std::move(repaired)) : nullptr, false};
  };
  const Json& wanted_meta = wanted.at("metadata");
  for (const char* field : {"labels", "annotations"})
    add_missing_texts(repaired["metadata"], field, wanted_meta.at(field), changed);
  if (wanted.contains("roleRef")) {
    if (find_member(object, "roleRef") == nullptr || object.at("roleRef") != wanted.at("roleRef")) {
      Json fresh = wanted;
      return {std::make_shared<Json>(std::move(fresh)), true};
    }
    if (const Json* subjects = find_member(wanted, "subjects"))
      add_missing(repaired["subjects"], *subjects, changed);
    return finish();
  }
  if (const Json* aggregation = find_member(wanted, "aggregationRule")) {
    // The controller fills the rules in.
    Json& selectors = repaired["aggregationRule"]["clusterRoleSelectors"];
    add_missing(selectors, aggregation->at("clusterRoleSelectors"), changed);
    return finish();
  }
  auto held = resources::parse_policy_rules(repaired.value("rules", Json::array()));
  auto missing = rbac::not_covered(held, resources::parse_policy_rules(wanted.at("rules")));
  for (const PolicyRule& rule : missing) {
    repaired["rules"].push_back(rbac::to_json(rule));
    changed = true;
  }
  return finish();
}

}  // namespace moth::server
