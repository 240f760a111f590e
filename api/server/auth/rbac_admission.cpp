#include "api/server/auth/rbac_admission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "api/base/json.h"
#include "api/server/auth/rbac.h"

namespace moth::server {
namespace {

using resources::PolicyRule;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

std::string quoted(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return out + "]";
}

// Nothing but what the garbage collector needs has changed.
bool only_collected(const Json& object, const Json* old) {
  if (!old) return false;
  Json a = object, b = *old;
  for (Json* json : {&a, &b}) {
    Json& metadata = (*json)["metadata"];
    for (const char* field :
         {"ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"})
      metadata.erase(field);
  }
  return a == b;
}

class RbacEscalationCheck final : public Admission {
 public:
  explicit RbacEscalationCheck(std::shared_ptr<const Authorizer> authorizer)
      : authorizer_(std::move(authorizer)) {}
  std::string_view name() const override { return "RBACEscalation"; }

  Result<> validate(const AdmissionRequest& request, const Json& object) override {
    if (request.def.group != kGroup || request.operation == Operation::kDelete ||
        request.operation == Operation::kConnect)
      return {};
    const UserInfo& user = request.context.user;
    if (user.in_group("system:masters") || only_collected(object, request.old)) return {};
    const std::string& kind = request.def.resource;
    if (kind == "roles" || kind == "clusterroles") return check_role(request, object);
    if (kind == "rolebindings" || kind == "clusterrolebindings")
      return check_binding(request, object);
    return {};
  }

 private:
  Result<> check_role(const AdmissionRequest& request, const Json& object) const {
    Attributes escalate;
    escalate.verb = "escalate";
    escalate.group = request.def.group;
    escalate.resource = request.def.resource;
    escalate.ns = request.ns;
    escalate.name = request.name;
    if (authorizer_->decide(request.context.user, escalate).allowed) return {};
    static const Json kNone = Json::array();
    const Json* rules = find_member(object, "rules");
    MOTH_TRY(confirm(request, resources::parse_policy_rules(rules ? *rules : kNone)));
    const Json* aggregation = find_member(object, "aggregationRule");
    const Json* before = request.old ? find_member(*request.old, "aggregationRule") : nullptr;
    if (!aggregation || aggregation->is_null() || (before && *before == *aggregation)) return {};
    // What it will collect is unknown: only who may do everything may say so.
    return confirm(request, {{{"*"}, {"*"}, {"*"}, {}, {}}, {{"*"}, {}, {}, {}, {"*"}}});
  }

  Result<> check_binding(const AdmissionRequest& request, const Json& object) const {
    const Json* ref = find_member(object, "roleRef");
    if (!ref) return {};
    const std::string role = string_or(*ref, "name");
    const bool cluster = string_or(*ref, "kind") == "ClusterRole";
    Attributes bind;
    bind.verb = "bind";
    bind.group = string_or(*ref, "apiGroup");
    bind.version = "*";
    bind.resource = cluster ? "clusterroles" : "roles";
    bind.ns = request.ns;
    bind.name = role;
    if (authorizer_->decide(request.context.user, bind).allowed) return {};
    MOTH_ASSIGN(auto rules, authorizer_->policy()->role_rules(cluster, request.ns, role));
    return confirm(request, rules);
  }

  Result<> confirm(const AdmissionRequest& request, const std::vector<PolicyRule>& wanted) const {
    const UserInfo& user = request.context.user;
    RuleSet held = authorizer_->policy()->rules_for(user, request.ns);
    auto missing = rbac::not_covered(held.rules, wanted);
    if (missing.empty()) return {};
    std::set<std::string> lines;
    for (const PolicyRule& rule : missing) lines.insert(rbac::text_of(rule));
    std::string text = fmt::format(
        "user \"{}\" (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name, quoted(user.groups), fmt::join(lines, "\n"));
    if (!held.error.empty()) text += fmt::format("; resolution errors: [{}]", held.error);
    return fail(Error::forbidden(request.def.qualified(), request.name, text));
  }

  std::shared_ptr<const Authorizer> authorizer_;
};

}  // namespace

std::unique_ptr<Admission> make_rbac_escalation_check(
    std::shared_ptr<const Authorizer> authorizer) {
  return std::make_unique<RbacEscalationCheck>(std::move(authorizer));
}

}  // namespace moth::server
