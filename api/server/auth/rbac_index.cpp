#include "api/server/auth/rbac_index.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "api/base/json.h"

namespace moth::server::rbac {
namespace {

using Roles = std::map<std::string, Rules>;
using Bindings = std::map<std::string, std::shared_ptr<const Binding>>;

constexpr const char* kGroup = "rbac.authorization.k8s.io";

std::string key_of(const Subject& subject, const std::string& binding_ns) {
  switch (subject.kind) {
    case Subject::Kind::kUser:
      return "u:" + subject.name;
    case Subject::Kind::kGroup:
      return "g:" + subject.name;
    case Subject::Kind::kServiceAccount:
      return "u:" +
             service_account_user(subject.ns.empty() ? binding_ns : subject.ns, subject.name);
  }
  return "";
}

std::string text_of(const Subject& subject, const std::string& binding_ns) {
  switch (subject.kind) {
    case Subject::Kind::kUser:
      return fmt::format("User \"{}\"", subject.name);
    case Subject::Kind::kGroup:
      return fmt::format("Group \"{}\"", subject.name);
    case Subject::Kind::kServiceAccount:
      return fmt::format("ServiceAccount \"{}/{}\"", subject.name,
                         subject.ns.empty() ? binding_ns : subject.ns);
  }
  return "";
}

std::string role_text(const Binding& binding) {
  return fmt::format("{} \"{}\"", binding.to_cluster_role ? "ClusterRole" : "Role", binding.role);
}

std::string missing_role(const Binding& binding) {
  return fmt::format("{}.rbac.authorization.k8s.io \"{}\" not found",
                     binding.to_cluster_role ? "clusterrole" : "role", binding.role);
}

// As upstream prints a list of errors.
std::string aggregate(std::vector<std::string> errors) {
  std::vector<std::string> once;
  for (std::string& error : errors) {
    if (std::find(once.begin(), once.end(), error) == once.end()) once.push_back(std::move(error));
  }
  if (once.empty()) return "";
  return once.size() == 1 ? once.front() : fmt::format("[{}]", fmt::join(once, ", "));
}

Rules rules_of(const Object& object) {
  return std::make_shared<const std::vector<PolicyRule>>(object.view<resources::RoleView>().rules);
}

std::shared_ptr<const Binding> binding_of(const Object& object) {
  const auto& view = object.view<resources::RoleBindingView>();
  return std::make_shared<const Binding>(
      Binding{object.name(), view.role, view.to_cluster_role, view.subjects});
}

}  // namespace

Scope::Scope(std::string ns, Roles roles, Bindings bindings)
    : ns_(std::move(ns)), roles_(std::move(roles)), bindings_(std::move(bindings)) {
  for (const auto& [name, binding] : bindings_) {
    for (const Subject& subject : binding->subjects) {
      auto& list = by_subject_[key_of(subject, ns_)];
      if (list.empty() || list.back() != binding) list.push_back(binding);
    }
  }
}

Rules Scope::role(const std::string& name) const {
  auto found = roles_.find(name);
  return found == roles_.end() ? nullptr : found->second;
}

const std::vector<std::shared_ptr<const Binding>>* Scope::bindings_of(
    const std::string& key) const {
  auto found = by_subject_.find(key);
  return found == by_subject_.end() ? nullptr : &found->second;
}

RbacPolicy::RbacPolicy(std::shared_ptr<const Scope> cluster,
                       std::map<std::string, std::shared_ptr<const Scope>> namespaces)
    : cluster_(std::move(cluster)), namespaces_(std::move(namespaces)) {}

// Calls visit(scope, binding, key, rules or null) for what the user is bound to, until it says
// stop (true).
template <class Visit>
void RbacPolicy::visit(const UserInfo& user, const std::string& ns, Visit visit) const {
  std::vector<std::string> keys;
  keys.reserve(user.groups.size() + 1);
  keys.push_back("u:" + user.name);
  for (const std::string& group : user.groups) keys.push_back("g:" + group);
  auto walk = [&](const Scope& scope) {
    for (const std::string& key : keys) {
      const auto* bindings = scope.bindings_of(key);
      if (!bindings) continue;
      for (const auto& binding : *bindings) {
        Rules rules =
            binding->to_cluster_role ? cluster_->role(binding->role) : scope.role(binding->role);
        if (visit(scope, *binding, key, rules)) return true;
      }
    }
    return false;
  };
  if (walk(*cluster_) || ns.empty()) return;
  auto local = namespaces_.find(ns);
  if (local != namespaces_.end()) walk(*local->second);
}

Verdict RbacPolicy::authorize(const UserInfo& user, const Attributes& attributes) const {
  Verdict verdict;
  std::vector<std::string> errors;
  visit(
      user, attributes.is_resource ? attributes.ns : std::string(),
      [&](const Scope& scope, const Binding& binding, const std::string& key, const Rules& rules) {
        if (!rules) {
          errors.push_back(missing_role(binding));
          return false;
        }
        bool allowed = std::any_of(rules->begin(), rules->end(), [&](const PolicyRule& rule) {
          return allows(rule, attributes);
        });
        if (!allowed) return false;
        auto subject = std::find_if(
            binding.subjects.begin(), binding.subjects.end(),
            [&](const Subject& candidate) { return key_of(candidate, scope.ns()) == key; });
        verdict.allowed = true;
        std::string name = scope.ns().empty() ? binding.name : binding.name + "/" + scope.ns();
        verdict.reason = fmt::format("RBAC: allowed by {} \"{}\" of {} to {}",
                                     scope.ns().empty() ? "ClusterRoleBinding" : "RoleBinding",
                                     name, role_text(binding), text_of(*subject, scope.ns()));
        return true;
      });
  if (!verdict.allowed && !errors.empty()) verdict.reason = "RBAC: " + aggregate(errors);
  return verdict;
}

RuleSet RbacPolicy::rules_for(const UserInfo& user, const std::string& ns) const {
  // By name of the binding, the cluster's first, each once however many groups lead to it.
  std::map<std::pair<bool, std::string>, Rules> found;
  std::vector<std::string> errors;
  visit(user, ns,
        [&](const Scope& scope, const Binding& binding, const std::string&, const Rules& rules) {
          if (!rules) {
            errors.push_back(missing_role(binding));
          } else {
            found.emplace(std::pair(!scope.ns().empty(), binding.name), rules);
          }
          return false;
        });
  RuleSet set;
  for (const auto& [key, rules] : found)
    set.rules.insert(set.rules.end(), rules->begin(), rules->end());
  set.error = aggregate(errors);
  return set;
}

Result<std::vector<PolicyRule>> RbacPolicy::role_rules(bool cluster_role, const std::string& ns,
                                                       const std::string& name) const {
  Rules rules;
  if (cluster_role) {
    rules = cluster_->role(name);
  } else if (auto local = namespaces_.find(ns); local != namespaces_.end()) {
    rules = local->second->role(name);
  }
  if (rules) return *rules;
  return fail(Error::not_found(
      cluster_role ? "clusterroles.rbac.authorization.k8s.io" : "roles.rbac.authorization.k8s.io",
      name));
}

RbacIndex::RbacIndex(Storage& storage, const resources::Registry& registry, Publish publish)
    : publish_(std::move(publish)) {
  const auto& cluster_roles = *registry.find(kGroup, "v1", "clusterroles");
  const auto& cluster_bindings = *registry.find(kGroup, "v1", "clusterrolebindings");
  const auto& local_roles = *registry.find(kGroup, "v1", "roles");
  const auto& local_bindings = *registry.find(kGroup, "v1", "rolebindings");
  std::map<std::string, std::pair<Roles, Bindings>> local;
  Roles roles;
  Bindings bindings;
  for (const ObjectPtr& object : storage.list(cluster_roles, "").objects)
    roles.emplace(object->name(), rules_of(*object));
  for (const ObjectPtr& object : storage.list(cluster_bindings, "").objects)
    bindings.emplace(object->name(), binding_of(*object));
  for (const ObjectPtr& object : storage.list(local_roles, "").objects)
    local[object->ns()].first.emplace(object->name(), rules_of(*object));
  for (const ObjectPtr& object : storage.list(local_bindings, "").objects)
    local[object->ns()].second.emplace(object->name(), binding_of(*object));
  std::map<std::string, std::shared_ptr<const Scope>> namespaces;
  for (auto& [ns, parts] : local) {
    namespaces.emplace(
        ns, std::make_shared<const Scope>(ns, std::move(parts.first), std::move(parts.second)));
  }
  policy_ = std::make_shared<const RbacPolicy>(
      std::make_shared<const Scope>("", std::move(roles), std::move(bindings)),
      std::move(namespaces));
  publish_(policy_);
  storage.subscribe(cluster_roles, [this](const StoreEvent& event) { role_changed(event); });
  storage.subscribe(local_roles, [this](const StoreEvent& event) { role_changed(event); });
  storage.subscribe(cluster_bindings, [this](const StoreEvent& event) { binding_changed(event); });
  storage.subscribe(local_bindings, [this](const StoreEvent& event) { binding_changed(event); });
}

const Scope* RbacIndex::scope(const std::string& ns) const {
  if (ns.empty()) return policy_->cluster().get();
  auto found = policy_->namespaces().find(ns);
  return found == policy_->namespaces().end() ? nullptr : found->second.get();
}

void RbacIndex::role_changed(const StoreEvent& event) {
  const Object& object = *event.object;
  const Scope* old = scope(object.ns());
  Roles roles = old ? old->roles() : Roles{};
  if (event.type == EventType::kDeleted) {
    roles.erase(object.name());
  } else {
    roles[object.name()] = rules_of(object);
  }
  replace(object.ns(), std::move(roles), old ? old->bindings() : Bindings{});
}

void RbacIndex::binding_changed(const StoreEvent& event) {
  const Object& object = *event.object;
  const Scope* old = scope(object.ns());
  Bindings bindings = old ? old->bindings() : Bindings{};
  if (event.type == EventType::kDeleted) {
    bindings.erase(object.name());
  } else {
    bindings[object.name()] = binding_of(object);
  }
  replace(object.ns(), old ? old->roles() : Roles{}, std::move(bindings));
}

void RbacIndex::replace(const std::string& ns, Roles roles, Bindings bindings) {
  bool empty = roles.empty() && bindings.empty();
  auto scope = std::make_shared<const Scope>(ns, std::move(roles), std::move(bindings));
  if (ns.empty()) {
    policy_ = std::make_shared<const RbacPolicy>(std::move(scope), policy_->namespaces());
  } else {
    auto namespaces = policy_->namespaces();
    if (empty) {
      namespaces.erase(ns);
    } else {
      namespaces[ns] = std::move(scope);
    }
    policy_ = std::make_shared<const RbacPolicy>(policy_->cluster(), std::move(namespaces));
  }
  publish_(policy_);
}

}  // namespace moth::server::rbac
