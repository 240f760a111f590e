#pragma once
// The rules of RBAC, pure: what a rule allows, whether one set of rules covers another, and the
// texts for them. Any thread.
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/resources/rbac_v1/rbac_view.h"
#include "api/server/auth/attributes.h"

namespace moth::server::rbac {

using resources::PolicyRule;
using resources::Subject;

bool allows(const PolicyRule& rule, const Attributes& attributes);

// The rules among `wanted` that `held` does not cover, each cut down to one verb and resource (or
// one path) and joined again where only verbs differ, as upstream's message lists them.
std::vector<PolicyRule> not_covered(const std::vector<PolicyRule>& held,
                                    const std::vector<PolicyRule>& wanted);

// {APIGroups:[""], Resources:["pods"], Verbs:["get"]}
std::string text_of(const PolicyRule& rule);
Json to_json(const PolicyRule& rule);

// The user name of a service account.
std::string service_account_user(std::string_view ns, std::string_view name);
// {ns, name} of such a user name; both empty when it is none.
std::pair<std::string, std::string> split_service_account(std::string_view user);

}  // namespace moth::server::rbac
