// The built-in steps over a whole pipeline with a store in memory.
#include <gtest/gtest.h>

#include "api/machinery/yaml.h"
#include "api/server/admission/builtin.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::server {
namespace {

using client::gvr::kPods;
using client::gvr::kServices;
const Gvr kQuotas{"", "v1", "resourcequotas"};
const Gvr kLimits{"", "v1", "limitranges"};

Json yaml(std::string_view text) {
  return parse_yaml_documents(text)->front().value;
}

class StepsTest : public ::testing::Test {
 protected:
  StepsTest() : cluster_(options()) { cluster_.start(); }
  static test::ClusterOptions options() {
    test::ClusterOptions options;
    options.with_node = false;
    options.with_scheduler = false;
    return options;
  }
  std::string refusal(const Gvr& gvr, std::string_view text, const std::string& ns = "default") {
    auto created = cluster_.create(gvr, ns, yaml(text));
    return created ? "" : created.error().message;
  }
  Json pod(const std::string& name, const std::string& resources = "{}") {
    return yaml("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
                "}\nspec: {containers: [{name: c, image: i, resources: " + resources + "}]}");
  }
  std::string pod_refusal(const std::string& name, const std::string& resources = "{}") {
    auto created = cluster_.create(kPods, "default", pod(name, resources));
    return created ? "" : created.error().message;
  }
  test::TestCluster cluster_;
};

TEST_F(StepsTest, LimitRangerFillsInAndTellsWhat) {
  cluster_.apply(
      "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {limits: [{type: Container, "
      "default: {cpu: 500m}, defaultRequest: {cpu: 100m, memory: 64Mi}}]}");
  ASSERT_EQ(pod_refusal("p"), "");
  EXPECT_EQ(
      cluster_.field(kPods, "default", "p", "/spec/containers/0/resources"),
      Json({{"limits", {{"cpu", "500m"}}}, {"requests", {{"cpu", "100m"}, {"memory", "64Mi"}}}}));
  EXPECT_EQ(
      cluster_.field(kPods, "default", "p", "/metadata/annotations/kubernetes.io~1limit-ranger"),
      "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c");
}

TEST_F(StepsTest, LimitRangerRefusesInUpstreamsWords) {
  cluster_.apply(
      "apiVersion: v1\nkind: LimitRange\nmetadata: {name: l}\nspec: {limits: [{type: Container, "
      "min: {cpu: 100m}, max: {cpu: \"1\"}, default: {cpu: 500m}, defaultRequest: {cpu: 200m}, "
      "maxLimitRequestRatio: {cpu: \"4\"}}, {type: Pod, max: {memory: 1Gi}}]}");
  EXPECT_EQ(
      pod_refusal("a", "{requests: {cpu: 50m, memory: 1Mi}, limits: {cpu: 100m, memory: 1Mi}}"),
      "pods \"a\" is forbidden: minimum cpu usage per Container is 100m, but request is 50m");
  EXPECT_EQ(pod_refusal("b", "{requests: {cpu: 500m}, limits: {cpu: \"2\", memory: 2Gi}}"),
            "pods \"b\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, "
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi]");
  EXPECT_EQ(pod_refusal("c", "{requests: {cpu: 100m}, limits: {cpu: 800m, memory: 1Mi}}"),
            "pods \"c\" is forbidden: cpu max limit to request ratio per Container is 4, but "
            "provided ratio is 8.000000");
  EXPECT_EQ(pod_refusal("d"),
            "pods \"d\" is forbidden: maximum memory usage per Pod is 1Gi.  No limit is specified");
}

TEST_F(StepsTest, QuotaCountsAndSaysWhatIsExceeded) {
  cluster_.apply(
      "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {pods: \"2\", "
      "requests.cpu: \"1\", limits.memory: 1Gi}}");
  EXPECT_EQ(pod_refusal("a"),
            "pods \"a\" is forbidden: failed quota: q: must specify limits.memory for: c; "
            "requests.cpu for: c");
  const char* kBig = "{requests: {cpu: 600m}, limits: {memory: 600Mi}}";
  const char* kSmall = "{requests: {cpu: 100m}, limits: {memory: 100Mi}}";
  EXPECT_EQ(pod_refusal("a", kBig), "");
  EXPECT_EQ(pod_refusal("b", kBig),
            "pods \"b\" is forbidden: exceeded quota: q, requested: "
            "limits.memory=600Mi,requests.cpu=600m, used: limits.memory=600Mi,requests.cpu=600m, "
            "limited: limits.memory=1Gi,requests.cpu=1");
  EXPECT_EQ(pod_refusal("b", kSmall), "");
  EXPECT_EQ(pod_refusal("c", kSmall),
            "pods \"c\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: "
            "pods=2");
  // What failed took nothing, and what goes gives back.
  ASSERT_TRUE(cluster_.remove(kPods, "default", "a"));
  cluster_.settle();
  EXPECT_EQ(pod_refusal("c", kSmall), "");
  EXPECT_EQ(pod_refusal("c", kSmall).substr(0, 8), "pods \"c\"");
}

TEST_F(StepsTest, QuotaOfAnyKindAndOfPorts) {
  cluster_.apply(
      "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: "
      "{count/deployments.apps: \"0\", services.nodeports: \"1\", configmaps: \"1\"}}");
  EXPECT_EQ(refusal({"apps", "v1", "deployments"},
                    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {selector: "
                    "{matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: "
                    "{containers: [{name: c, image: i}]}}}"),
            "deployments.apps \"d\" is forbidden: exceeded quota: q, requested: "
            "count/deployments.apps=1, used: count/deployments.apps=0, limited: "
            "count/deployments.apps=0");
  const std::string service =
      "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: NodePort, ports: [{name: "
      "a, "
      "port: 1}, {name: b, port: 2}]}";
  EXPECT_EQ(
      refusal(kServices, service),
      "services \"s\" is forbidden: exceeded quota: q, requested: services.nodeports=2, used: "
      "services.nodeports=0, limited: services.nodeports=1");
  EXPECT_EQ(
      refusal(client::gvr::kConfigMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}"),
      "");
  EXPECT_NE(
      refusal(client::gvr::kConfigMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}"),
      "");
}

TEST_F(StepsTest, QuotaScopesPickPods) {
  cluster_.apply(
      "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: best}\nspec: {hard: {pods: \"1\"}, "
      "scopes: [BestEffort]}");
  EXPECT_EQ(pod_refusal("a"), "");
  EXPECT_NE(pod_refusal("b"), "");
  EXPECT_EQ(pod_refusal("c", "{requests: {cpu: 1m}}"), "");
}

TEST_F(StepsTest, ADryRunTakesNothing) {
  cluster_.apply(
      "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {pods: \"1\"}}");
  client::WriteOptions dry;
  dry.dry_run = true;
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(cluster_.run(cluster_.client().create(kPods, "default", pod("a"), dry)));
  EXPECT_EQ(pod_refusal("a"), "");
}

TEST_F(StepsTest, PodSecurityRefusesByLabelOfTheNamespace) {
  ASSERT_TRUE(cluster_.patch(
      client::gvr::kNamespaces, "", "default",
      {{"metadata", {{"labels", {{"pod-security.kubernetes.io/enforce", "baseline"}}}}}}));
  EXPECT_EQ(refusal(kPods,
                    "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: true, "
                    "containers: [{name: c, image: i}]}"),
            "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces "
            "(hostNetwork=true)");
  EXPECT_EQ(pod_refusal("q"), "");
  auto wrong = cluster_.patch(
      client::gvr::kNamespaces, "", "default",
      {{"metadata", {{"labels", {{"pod-security.kubernetes.io/enforce", "strict"}}}}}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().reason, Reason::kInvalid);
}

TEST(PluginNames, AreUpstreamsAndOthersAreRefusedWithTheList) {
  EXPECT_TRUE(check_admission_plugins({"LimitRanger", "AlwaysPullImages"}));
  auto wrong = check_admission_plugins({"LimitRangr"});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("unknown plugin \"LimitRangr\""), std::string::npos);
  EXPECT_NE(wrong.error().message.find("LimitRanger"), std::string::npos);
}

}  // namespace
}  // namespace moth::server
