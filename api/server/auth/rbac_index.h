#pragma once
// RbacPolicy: roles and bindings, indexed by subject, as one immutable snapshot; any thread.
// RbacIndex: keeps the newest snapshot equal to the store. It lives on the control thread and is
// told of commits before the writers get their answers, so that whoever has created a binding finds
// it in force with his next request. Only what changed is made anew: the cluster's part, or that of
// one namespace.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/server/auth/authorizer.h"
#include "api/server/auth/rbac.h"
#include "api/server/storage.h"

namespace moth::server::rbac {

using Rules = std::shared_ptr<const std::vector<PolicyRule>>;

// A binding as far as evaluation needs it.
struct Binding {
  std::string name, role;
  bool to_cluster_role = true;
  std::vector<Subject> subjects;
};

// Roles and bindings of the cluster or of one namespace.
class Scope {
 public:
  Scope(std::string ns, std::map<std::string, Rules> roles,
        std::map<std::string, std::shared_ptr<const Binding>> bindings);
  Rules role(const std::string& name) const;
  // Bindings with the subject; null: none. Keys are "u:NAME" and "g:NAME".
  const std::vector<std::shared_ptr<const Binding>>* bindings_of(const std::string& key) const;
  const std::string& ns() const { return ns_; }
  const std::map<std::string, Rules>& roles() const { return roles_; }
  const std::map<std::string, std::shared_ptr<const Binding>>& bindings() const {
    return bindings_;
  }

 private:
  std::string ns_;  // empty: the cluster
  std::map<std::string, Rules> roles_;
  std::map<std::string, std::shared_ptr<const Binding>> bindings_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<const Binding>>> by_subject_;
};

class RbacPolicy final : public Policy {
 public:
  RbacPolicy(std::shared_ptr<const Scope> cluster,
             std::map<std::string, std::shared_ptr<const Scope>> namespaces);
  Verdict authorize(const UserInfo& user, const Attributes& attributes) const override;
  RuleSet rules_for(const UserInfo& user, const std::string& ns) const override;
  Result<std::vector<PolicyRule>> role_rules(bool cluster_role, const std::string& ns,
                                             const std::string& name) const override;

  const std::shared_ptr<const Scope>& cluster() const { return cluster_; }
  const std::map<std::string, std::shared_ptr<const Scope>>& namespaces() const {
    return namespaces_;
  }

 private:
  template <class Visit>
  void visit(const UserInfo& user, const std::string& ns, Visit visit) const;

  std::shared_ptr<const Scope> cluster_;
  std::map<std::string, std::shared_ptr<const Scope>> namespaces_;
};

class RbacIndex {
 public:
  // Reads what there is and follows it; lives as long as the storage. Every change is told to
  // `publish`, on control, also the first state.
  using Publish = std::function<void(std::shared_ptr<const RbacPolicy>)>;
  RbacIndex(Storage& storage, const resources::Registry& registry, Publish publish);

 private:
  const Scope* scope(const std::string& ns) const;  // empty: the cluster's
  void role_changed(const StoreEvent& event);
  void binding_changed(const StoreEvent& event);
  void replace(const std::string& ns, std::map<std::string, Rules> roles,
               std::map<std::string, std::shared_ptr<const Binding>> bindings);

  Publish publish_;
  std::shared_ptr<const RbacPolicy> policy_;
};

}  // namespace moth::server::rbac
