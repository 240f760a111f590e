#include "api/server/auth/authorizer.h"

#include "api/server/auth/bootstrap_policy.h"
#include "api/server/auth/node_rules.h"

namespace moth::server {

Authorizer::Authorizer() : policy_(default_policy()) {}

void Authorizer::publish(std::shared_ptr<const Policy> policy) {
  std::lock_guard lock(mutex_);
  policy_.swap(policy);
}

std::shared_ptr<const Policy> Authorizer::policy() const {
  std::lock_guard lock(mutex_);
  return policy_;
}

Verdict Authorizer::decide(const UserInfo& user, const Attributes& attributes) const {
  if (user.in_group("system:masters")) return {true, ""};
  Verdict node = node_verdict(user, attributes);
  if (node.allowed) return node;
  Verdict verdict = policy()->authorize(user, attributes);
  if (!verdict.allowed && verdict.reason.empty()) verdict.reason = std::move(node.reason);
  return verdict;
}

Result<> Authorizer::check(const UserInfo& user, const Attributes& attributes) const {
  Verdict verdict = decide(user, attributes);
  if (verdict.allowed) return {};
  return fail(forbidden(user, attributes, verdict.reason));
}

}  // namespace moth::server
