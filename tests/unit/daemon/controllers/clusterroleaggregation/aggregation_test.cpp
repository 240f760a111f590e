#include <gtest/gtest.h>

#include "daemon/controllers/clusterroleaggregation/clusterroleaggregation_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

const Gvr kClusterRoles{"rbac.authorization.k8s.io", "v1", "clusterroles"};

Json role(const std::string& name, Json labels, Json rules) {
  return {{"apiVersion", "rbac.authorization.k8s.io/v1"},
          {"kind", "ClusterRole"},
          {"metadata", {{"name", name}, {"labels", std::move(labels)}}},
          {"rules", std::move(rules)}};
}
Json rule(const char* resource) {
  return {{"verbs", {"get"}}, {"apiGroups", {""}}, {"resources", {resource}}};
}

TEST(Aggregation, FollowsItsParts) {
  test::TestCluster cluster({false, false});
  cluster.add(make_clusterroleaggregation_controller);
  cluster.start();
  Json whole = role("whole", Json::object(), Json::array());
  whole["aggregationRule"]["clusterRoleSelectors"] =
      Json::array({{{"matchLabels", {{"part", "yes"}}}}});
  // What was in it by hand goes: the rules are the controller's.
  whole["rules"] = Json::array({rule("nodes")});
  ASSERT_TRUE(cluster.create(kClusterRoles, "", whole));
  ASSERT_TRUE(cluster.create(kClusterRoles, "",
                             role("b", {{"part", "yes"}}, Json::array({rule("b"), rule("a")}))));
  ASSERT_TRUE(
      cluster.create(kClusterRoles, "", role("a", {{"part", "yes"}}, Json::array({rule("a")}))));
  ASSERT_TRUE(
      cluster.create(kClusterRoles, "", role("c", {{"part", "no"}}, Json::array({rule("c")}))));
  cluster.settle();
  EXPECT_EQ(cluster.field(kClusterRoles, "", "whole", "/rules"),
            Json::array({rule("a"), rule("b")}));
  ASSERT_TRUE(
      cluster.patch(kClusterRoles, "", "c", {{"metadata", {{"labels", {{"part", "yes"}}}}}}));
  ASSERT_TRUE(cluster.remove(kClusterRoles, "", "b"));
  cluster.settle();
  EXPECT_EQ(cluster.field(kClusterRoles, "", "whole", "/rules"),
            Json::array({rule("a"), rule("c")}));
}

}  // namespace
}  // namespace moth::controllers
