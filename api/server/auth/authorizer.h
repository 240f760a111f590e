#pragma once
// Who may do what. An Authorizer asks, in this order: the privileged group (system:masters may do
// everything), the node authorizer, and the roles and bindings of RBAC. Without a policy from the
// store the built-in default roles and bindings count.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "api/resources/rbac_v1/rbac_view.h"
#include "api/server/auth/attributes.h"
#include "api/server/request_context.h"

namespace moth::server {

struct Verdict {
  bool allowed = false;
  std::string reason;  // of a review; of a refusal it goes behind the message of the 403
};

struct RuleSet {
  std::vector<resources::PolicyRule> rules;
  std::string error;  // what could not be resolved, upstream's text; empty: nothing
};

// One immutable state of all that was granted. Any thread.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual Verdict authorize(const UserInfo& user, const Attributes& attributes) const = 0;
  // Everything that the user holds in a namespace ("": in the cluster), in the order of bindings.
  virtual RuleSet rules_for(const UserInfo& user, const std::string& ns) const = 0;
  // The rules of a role; NotFound as the API would say it.
  virtual Result<std::vector<resources::PolicyRule>> role_rules(bool cluster_role,
                                                                const std::string& ns,
                                                                const std::string& name) const = 0;
};

// Any thread: the policy is published by control and read everywhere, which takes a lock for the
// copy of one pointer.
class Authorizer {
 public:
  Authorizer();
  void publish(std::shared_ptr<const Policy> policy);
  std::shared_ptr<const Policy> policy() const;

  Verdict decide(const UserInfo& user, const Attributes& attributes) const;
  // decide(), with the 403 as upstream words it.
  Result<> check(const UserInfo& user, const Attributes& attributes) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace moth::server
