#include "api/server/auth/rbac.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "api/base/json.h"
#include "api/server/auth/bootstrap_policy.h"
#include "api/server/auth/impersonation.h"
#include "api/server/auth/rbac_index.h"

namespace moth::server {
namespace {

using rbac::PolicyRule;
using resources::Subject;
using Texts = std::vector<std::string>;

Attributes on(std::string verb, std::string group, std::string resource, std::string sub = "",
              std::string name = "", std::string ns = "default") {
  Attributes wanted;
  wanted.verb = std::move(verb);
  wanted.group = std::move(group);
  wanted.resource = std::move(resource);
  wanted.subresource = std::move(sub);
  wanted.name = std::move(name);
  wanted.ns = std::move(ns);
  return wanted;
}

TEST(RbacRules, Resources) {
  const PolicyRule pods{{"get", "list"}, {""}, {"pods", "pods/log", "*/scale"}, {}, {}};
  EXPECT_TRUE(rbac::allows(pods, on("get", "", "pods")));
  EXPECT_TRUE(rbac::allows(pods, on("get", "", "pods", "log")));
  EXPECT_TRUE(rbac::allows(pods, on("get", "", "replicationcontrollers", "scale")));
  EXPECT_FALSE(rbac::allows(pods, on("get", "", "pods", "exec")));
  EXPECT_FALSE(rbac::allows(pods, on("delete", "", "pods")));
  EXPECT_FALSE(rbac::allows(pods, on("get", "apps", "pods")));
  EXPECT_FALSE(rbac::allows(pods, on("get", "", "services")));
  const PolicyRule all{{"*"}, {"*"}, {"*"}, {}, {}};
  EXPECT_TRUE(rbac::allows(all, on("escalate", "x.y", "things", "deep")));
  const PolicyRule bare{{"*"}, {""}, {"pods"}, {}, {}};
  EXPECT_FALSE(rbac::allows(bare, on("get", "", "pods", "log")));
}

TEST(RbacRules, Names) {
  const PolicyRule one{{"*"}, {""}, {"secrets"}, {"mine"}, {}};
  EXPECT_TRUE(rbac::allows(one, on("get", "", "secrets", "", "mine")));
  EXPECT_FALSE(rbac::allows(one, on("get", "", "secrets", "", "yours")));
  // A create by POST, a list and a deletecollection name nothing.
  EXPECT_FALSE(rbac::allows(one, on("create", "", "secrets")));
  EXPECT_FALSE(rbac::allows(one, on("list", "", "secrets")));
  RequestInfo info;
  info.is_resource = true;
  info.verb = "watch";
  info.gvr = {"", "v1", "secrets"};
  info.ns = "default";
  EXPECT_TRUE(rbac::allows(one, attributes_of(info, "metadata.name=mine")));
  EXPECT_FALSE(rbac::allows(one, attributes_of(info, "metadata.name!=mine")));
}

TEST(RbacRules, Paths) {
  const PolicyRule paths{{"get"}, {}, {}, {}, {"/metrics", "/logs/*"}};
  Attributes wanted;
  wanted.is_resource = false;
  wanted.verb = "get";
  for (const auto& [path, allowed] :
       std::vector<std::pair<std::string, bool>>{{"/metrics", true},
                                                 {"/metrics/x", false},
                                                 {"/logs/", true},
                                                 {"/logs/a/b", true},
                                                 {"/logs", false},
                                                 {"/", false}}) {
    wanted.path = path;
    EXPECT_EQ(rbac::allows(paths, wanted), allowed) << path;
  }
  // A rule about resources says nothing about paths, and the other way round.
  EXPECT_FALSE(rbac::allows({{"*"}, {"*"}, {"*"}, {}, {}}, wanted));
  EXPECT_FALSE(rbac::allows({{"*"}, {}, {}, {}, {"*"}}, on("get", "", "pods")));
}

TEST(RbacRules, CoveringIsExact) {
  const PolicyRule read{{"get", "list"}, {""}, {"pods", "services"}, {}, {}};
  EXPECT_TRUE(rbac::not_covered({read}, {{{"get"}, {""}, {"pods"}, {}, {}}}).empty());
  EXPECT_TRUE(rbac::not_covered({read}, {{{"get"}, {""}, {"pods"}, {"one"}, {}}}).empty());
  auto missing = rbac::not_covered({read}, {{{"get", "delete", "patch"}, {""}, {"pods"}, {}, {}}});
  ASSERT_EQ(missing.size(), 1u);
  EXPECT_EQ(rbac::text_of(missing[0]),
            "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\" \"patch\"]}");
  // Two rules together cover what neither does alone.
  const PolicyRule verb_a{{"get"}, {""}, {"pods"}, {}, {}},
      verb_b{{"list"}, {""}, {"pods"}, {}, {}};
  EXPECT_TRUE(
      rbac::not_covered({verb_a, verb_b}, {{{"get", "list"}, {""}, {"pods"}, {}, {}}}).empty());
  // A name is less than all.
  EXPECT_FALSE(rbac::not_covered({{{"get"}, {""}, {"pods"}, {"one"}, {}}},
                                 {{{"get"}, {""}, {"pods"}, {}, {}}})
                   .empty());
  EXPECT_TRUE(
      rbac::not_covered({{{"*"}, {"*"}, {"*"}, {}, {}}}, {{{"*"}, {"a"}, {"b/c"}, {"d"}, {}}})
          .empty());
  EXPECT_FALSE(
      rbac::not_covered({{{"get"}, {"*"}, {"*"}, {}, {}}}, {{{"*"}, {""}, {"pods"}, {}, {}}})
          .empty());
  EXPECT_TRUE(
      rbac::not_covered({{{"get"}, {}, {}, {}, {"/a/*"}}}, {{{"get"}, {}, {}, {}, {"/a/b"}}})
          .empty());
  EXPECT_EQ(rbac::text_of({{"get"}, {}, {}, {}, {"/a"}}),
            "{NonResourceURLs:[\"/a\"], Verbs:[\"get\"]}");
}

TEST(RbacRules, AccountNames) {
  EXPECT_EQ(rbac::split_service_account("system:serviceaccount:a:b"),
            (std::pair<std::string, std::string>("a", "b")));
  for (const char* none : {"jo", "system:serviceaccount:a", "system:serviceaccount::b",
                           "system:serviceaccount:a:", "system:serviceaccount:a:b:c"})
    EXPECT_TRUE(rbac::split_service_account(none).second.empty()) << none;
}

class Policies : public ::testing::Test {
 protected:
  using Bindings = std::map<std::string, std::shared_ptr<const rbac::Binding>>;
  static rbac::Rules rules(std::vector<PolicyRule> list) {
    return std::make_shared<const std::vector<PolicyRule>>(std::move(list));
  }
  static std::pair<const std::string, std::shared_ptr<const rbac::Binding>> binding(
      std::string name, std::string role, bool cluster, Subject subject) {
    return {name, std::make_shared<const rbac::Binding>(
                      rbac::Binding{name, std::move(role), cluster, {std::move(subject)}})};
  }
  static rbac::RbacPolicy policy() {
    auto cluster = std::make_shared<const rbac::Scope>(
        "",
        std::map<std::string, rbac::Rules>{{"reader", rules({{{"get"}, {""}, {"pods"}, {}, {}}})},
                                           {"nodes", rules({{{"get"}, {""}, {"nodes"}, {}, {}}})}},
        Bindings{binding("ops", "nodes", true, {Subject::Kind::kGroup, "ops", ""}),
                 binding("lost", "gone", true, {Subject::Kind::kUser, "lou", ""})});
    auto shop = std::make_shared<const rbac::Scope>(
        "shop",
        std::map<std::string, rbac::Rules>{{"own", rules({{{"list"}, {""}, {"pods"}, {}, {}}})}},
        Bindings{binding("jo", "reader", true, {Subject::Kind::kUser, "jo", ""}),
                 binding("own", "own", false, {Subject::Kind::kUser, "jo", ""}),
                 binding("bot", "reader", true, {Subject::Kind::kServiceAccount, "bot", ""})});
    return {cluster, {{"shop", shop}}};
  }
};

TEST_F(Policies, BindingsReachAsFarAsTheirScope) {
  auto p = policy();
  UserInfo jo{"jo", "", {"system:authenticated"}}, kim{"kim", "", {"ops"}},
      bot{"system:serviceaccount:shop:bot", "", {}};
  EXPECT_TRUE(p.authorize(jo, on("get", "", "pods", "", "", "shop")).allowed);
  EXPECT_TRUE(p.authorize(jo, on("list", "", "pods", "", "", "shop")).allowed);
  EXPECT_FALSE(p.authorize(jo, on("get", "", "pods", "", "", "default")).allowed);
  EXPECT_FALSE(p.authorize(jo, on("get", "", "pods", "", "", "")).allowed);
  EXPECT_TRUE(p.authorize(kim, on("get", "", "nodes", "", "", "")).allowed);
  EXPECT_TRUE(p.authorize(bot, on("get", "", "pods", "", "", "shop")).allowed);
  EXPECT_EQ(p.authorize(jo, on("get", "", "pods", "", "", "shop")).reason,
            "RBAC: allowed by RoleBinding \"jo/shop\" of ClusterRole \"reader\" to User \"jo\"");
  EXPECT_EQ(
      p.authorize(kim, on("get", "", "nodes", "", "", "")).reason,
      "RBAC: allowed by ClusterRoleBinding \"ops\" of ClusterRole \"nodes\" to Group \"ops\"");
  EXPECT_EQ(p.authorize(bot, on("get", "", "pods", "", "", "shop")).reason,
            "RBAC: allowed by RoleBinding \"bot/shop\" of ClusterRole \"reader\" to ServiceAccount "
            "\"bot/shop\"");
}

TEST_F(Policies, MissingRolesAreNamed) {
  auto p = policy();
  UserInfo lou{"lou", "", {}};
  Verdict verdict = p.authorize(lou, on("get", "", "pods"));
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
  EXPECT_EQ(p.rules_for(lou, "shop").error,
            "clusterrole.rbac.authorization.k8s.io \"gone\" not found");
  auto rules = p.role_rules(true, "", "gone");
  ASSERT_FALSE(rules);
  EXPECT_EQ(rules.error().message, "clusterroles.rbac.authorization.k8s.io \"gone\" not found");
}

TEST(DefaultPolicy, ViewEditAdmin) {
  auto cluster = std::static_pointer_cast<const rbac::RbacPolicy>(default_policy())->cluster();
  auto may = [&](const char* role, const Attributes& wanted) {
    for (const PolicyRule& rule : *cluster->role(role)) {
      if (rbac::allows(rule, wanted)) return true;
    }
    return false;
  };
  for (const char* role : {"view", "edit", "admin"}) {
    EXPECT_TRUE(may(role, on("list", "", "pods"))) << role;
    EXPECT_TRUE(may(role, on("get", "", "pods", "log"))) << role;
    EXPECT_TRUE(may(role, on("list", "metrics.k8s.io", "pods"))) << role;
    EXPECT_FALSE(may(role, on("delete", "", "nodes"))) << role;
    EXPECT_FALSE(may(role, on("update", "", "resourcequotas"))) << role;
  }
  EXPECT_FALSE(may("view", on("get", "", "secrets")));
  EXPECT_FALSE(may("view", on("create", "", "pods")));
  EXPECT_TRUE(may("edit", on("get", "", "secrets")));
  EXPECT_TRUE(may("edit", on("create", "", "pods", "exec")));
  EXPECT_TRUE(may("edit", on("patch", "apps", "deployments", "scale")));
  EXPECT_FALSE(may("edit", on("create", "rbac.authorization.k8s.io", "roles")));
  EXPECT_TRUE(may("admin", on("create", "rbac.authorization.k8s.io", "roles")));
  EXPECT_FALSE(may("admin", on("create", "rbac.authorization.k8s.io", "clusterroles")));
}

TEST(DefaultPolicy, RepairAddsWhatIsMissingAndKeepsTheRest) {
  BootstrapPolicy policy = bootstrap_policy();
  Json wanted;
  for (const Json& role : policy.cluster_roles) {
    if (role.at("metadata").at("name") == "system:basic-user") wanted = role;
  }
  EXPECT_FALSE(repair_policy_object(wanted, wanted).object);
  Json changed = wanted;
  changed["rules"] = Json::array({changed["rules"][0]});
  changed["rules"].push_back({{"verbs", {"get"}}, {"apiGroups", {""}}, {"resources", {"mine"}}});
  auto repair = repair_policy_object(changed, wanted);
  ASSERT_TRUE(repair.object);
  EXPECT_EQ(repair.object->at("rules").size(), 3u);
  EXPECT_FALSE(repair_policy_object(*repair.object, wanted).object);
  changed["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = "false";
  EXPECT_FALSE(repair_policy_object(changed, wanted).object);
  Json binding = policy.cluster_role_bindings.front();
  Json other = binding;
  other["roleRef"]["name"] = "view";
  EXPECT_TRUE(repair_policy_object(other, binding).recreate);
  Json emptied = binding;
  emptied.erase("subjects");
  auto refilled = repair_policy_object(emptied, binding);
  ASSERT_TRUE(refilled.object);
  EXPECT_EQ(refilled.object->at("subjects"), binding.at("subjects"));
}

TEST(DefaultPolicy, DecisionsAreCheap) {
  Authorizer authorizer;
  const UserInfo admin{"admin", "", {"system:masters", "system:authenticated"}},
      jo{"jo", "", {"dev", "system:authenticated"}};
  const Attributes wanted = on("list", "", "pods");
  auto nanoseconds = [&](const UserInfo& user) {
    constexpr int kRounds = 20'000;
    auto start = std::chrono::steady_clock::now();
    int allowed = 0;
    for (int i = 0; i < kRounds; ++i) allowed += authorizer.decide(user, wanted).allowed ? 1 : 0;
    auto passed = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(allowed, user.name == "admin" ? kRounds : 0);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(passed).count() / kRounds;
  };
  auto for_admin = nanoseconds(admin), for_jo = nanoseconds(jo);
  RecordProperty("admin_ns", static_cast<int>(for_admin));
  RecordProperty("user_ns", static_cast<int>(for_jo));
  std::printf("decision: admin %lld ns, user without rights %lld ns\n",
              static_cast<long long>(for_admin), static_cast<long long>(for_jo));
  EXPECT_LT(for_admin, 5'000);  // even without optimisation
}

TEST(Impersonation, NeedsTheVerb) {
  Authorizer authorizer;
  http::Request request;
  request.headers.set("Impersonate-User", "kim");
  request.headers.add("Impersonate-Group", "dev");
  UserInfo admin{"admin", "", {"system:masters"}};
  auto kim = impersonate(authorizer, admin, request);
  ASSERT_TRUE(kim);
  EXPECT_EQ(kim->name, "kim");
  EXPECT_EQ(kim->groups, (Texts{"dev", "system:authenticated"}));
  auto refused = impersonate(authorizer, {"jo", "", {"system:authenticated"}}, request);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "users \"kim\" is forbidden: User \"jo\" cannot impersonate resource \"users\" in API "
            "group \"\" at the cluster scope");
}

TEST(Impersonation, AccountsExtrasAndNobody) {
  Authorizer authorizer;
  UserInfo admin{"admin", "", {"system:masters"}};
  http::Request account;
  account.headers.set("Impersonate-User", "system:serviceaccount:shop:bot");
  account.headers.add("Impersonate-Extra-Scopes%2fA", "x");
  auto bot = impersonate(authorizer, admin, account);
  ASSERT_TRUE(bot);
  EXPECT_EQ(bot->groups, (Texts{"system:serviceaccounts", "system:serviceaccounts:shop",
                                "system:authenticated"}));
  EXPECT_EQ(bot->extra.at("scopes/a"), Texts{"x"});
  http::Request nobody;
  nobody.headers.set("Impersonate-User", "system:anonymous");
  EXPECT_EQ(impersonate(authorizer, admin, nobody)->groups, Texts{"system:unauthenticated"});
  http::Request half;
  half.headers.set("Impersonate-Group", "dev");
  auto broken = impersonate(authorizer, admin, half);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().reason, Reason::kInternalError);
  EXPECT_EQ(impersonate(authorizer, admin, http::Request())->name, "admin");
}

TEST(Nodes, SeeTheirOwn) {
  Authorizer authorizer;
  const UserInfo node{"system:node:box", "", {"system:nodes", "system:authenticated"}};
  EXPECT_TRUE(authorizer.decide(node, on("patch", "", "nodes", "status", "box", "")).allowed);
  EXPECT_FALSE(authorizer.decide(node, on("patch", "", "nodes", "status", "other", "")).allowed);
  EXPECT_TRUE(authorizer.decide(node, on("get", "", "nodes", "", "other", "")).allowed);
  EXPECT_TRUE(authorizer.decide(node, on("list", "", "pods", "", "", "")).allowed);
  Verdict secret = authorizer.decide(node, on("get", "", "secrets", "", "s"));
  EXPECT_FALSE(secret.allowed);
  EXPECT_EQ(secret.reason, "no relationship found between node 'box' and this object");
  EXPECT_FALSE(authorizer.decide({"system:node:box", "", {}}, on("list", "", "pods")).allowed);
}

}  // namespace
}  // namespace moth::server
