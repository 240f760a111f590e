// Descriptions of objects that need nothing else from the server, as kubectl lays them out.
#include <gtest/gtest.h>

#include "api/base/json.h"
#include "ctl/describe/describe.h"
#include "ctl/describe/rbac_rules.h"

namespace moth::ctl {
namespace {

class Describe : public ::testing::Test {
 protected:
  void SetUp() override {
    KubeEndpoint nowhere;
    nowhere.server = "http://127.0.0.1:1";
    auto api = Api::connect(nowhere, {});
    ASSERT_TRUE(api);
    api_ = *std::move(api);
  }
  std::string text(const char* group, const char* kind, const Json& object) {
    client::ApiResource resource;
    resource.group = group;
    resource.version = "v1";
    resource.kind = kind;
    return describe_object(*api_, resource, object, false);
  }
  std::unique_ptr<Api> api_;
};

TEST_F(Describe, DisruptionBudget) {
  EXPECT_EQ(
      text("policy", "PodDisruptionBudget",
           {{"metadata", {{"name", "pdb"}, {"namespace", "default"}}},
            {"spec", {{"minAvailable", 1}, {"selector", {{"matchLabels", {{"app", "web"}}}}}}},
            {"status",
             {{"disruptionsAllowed", 1},
              {"currentHealthy", 2},
              {"desiredHealthy", 1},
              {"expectedPods", 2}}}}),
      "Name:           pdb\nNamespace:      default\nMin available:  1\nSelector:       app=web\n"
      "Status:\n    Allowed disruptions:  1\n    Current:              2\n"
      "    Desired:              1\n    Total:                2\n");
}

TEST_F(Describe, Quota) {
  EXPECT_EQ(
      text("", "ResourceQuota",
           {{"metadata", {{"name", "q"}, {"namespace", "default"}}},
            {"spec", {{"hard", {{"pods", "2"}}}}},
            {"status", {{"hard", {{"cpu", "1"}, {"pods", "2"}}}, {"used", {{"pods", "1"}}}}}}),
      "Name:       q\nNamespace:  default\nResource    Used  Hard\n--------    ----  ----\n"
      "cpu         0     1\npods        1     2\n");
}

TEST_F(Describe, NetworkPolicy) {
  Json policy{
      {"metadata",
       {{"name", "np"}, {"namespace", "default"}, {"creationTimestamp", "2026-01-02T03:04:05Z"}}},
      {"spec",
       {{"podSelector", Json::object()},
        {"policyTypes", {"Ingress"}},
        {"ingress",
         {{{"from", {{{"podSelector", {{"matchLabels", {{"a", "b"}}}}}}}},
           {"ports", {{{"port", 80}, {"protocol", "TCP"}}}}}}}}}};
  EXPECT_EQ(text("networking.k8s.io", "NetworkPolicy", policy), R"(Name:         np
Namespace:    default
Created on:   2026-01-02 03:04:05 +0000 UTC
Labels:       <none>
Annotations:  <none>
Spec:
  PodSelector:     <none> (Allowing the specific traffic to all pods in this namespace)
  Allowing ingress traffic:
    To Port: 80/TCP
    From:
      PodSelector: a=b
  Not affecting egress traffic
  Policy Types: Ingress
)");
}

TEST_F(Describe, UnknownKindsMemberByMember) {
  Json widget{{"apiVersion", "example.com/v1"},
              {"kind", "Widget"},
              {"metadata", {{"name", "w1"}, {"namespace", "default"}, {"uid", "u"}}},
              {"spec", {{"podSize", 3}, {"tags", {"a", "b"}}}}};
  EXPECT_EQ(text("example.com", "Widget", widget), R"(Name:         w1
Namespace:    default
Labels:       <none>
Annotations:  <none>
API Version:  example.com/v1
Kind:         Widget
Metadata:
  UID:  u
Spec:
  Pod Size:  3
  Tags:
    a
    b
)");
}

TEST(RbacRules, AreTakenApartMergedAndSorted) {
  Json rules = Json::array(
      {{{"apiGroups", {"", "apps"}}, {"resources", {"pods", "pods/log"}}, {"verbs", {"get"}}},
       {{"apiGroups", Json::array({""})},
        {"resources", Json::array({"pods"})},
        {"verbs", {"list"}}},
       {{"nonResourceURLs", {"/healthz", "/api/*"}}, {"verbs", {"get"}}}});
  std::string text;
  for (const SingleRule& rule : single_rules(rules))
    text += rule.shown() + "|" + rule.urls + "|" + rule.verbs.dump() + "\n";
  EXPECT_EQ(text,
            "pods|[]|[\"get\",\"list\"]\n"
            "|[/api/*]|[\"get\"]\n|[/healthz]|[\"get\"]\npods/log|[]|[\"get\"]\n"
            "pods.apps/log|[]|[\"get\"]\npods.apps|[]|[\"get\"]\n");
}

}  // namespace
}  // namespace moth::ctl
