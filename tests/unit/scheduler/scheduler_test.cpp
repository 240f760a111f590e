// The scheduler in a control plane without a node agent.
#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include "tests/support/cluster/test_cluster.h"

namespace moth::scheduler {
namespace {

using namespace std::chrono_literals;
using client::gvr::kNodes;
using client::gvr::kPods;

std::string pod(const std::string& name, const std::string& cpu, int priority_class = 0,
                const std::string& more = "") {
  std::string text = "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
                     ", namespace: default}\nspec:\n  containers:\n  - {name: c, image: i, "
                     "resources: {requests: {cpu: \"" +
                     cpu + "\"}}}\n";
  if (priority_class > 0) text += "  priorityClassName: important\n";
  return text + more;
}

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() : cluster_({true, false, "2", "8Gi", "10"}) { cluster_.start(); }
  std::string node_of(const std::string& name) {
    Json node = cluster_.field(kPods, "default", name, "/spec/nodeName");
    return node.is_string() ? node.get<std::string>() : "";
  }
  std::string unschedulable(const std::string& name) {
    const Json conditions = cluster_.field(kPods, "default", name, "/status/conditions");
    if (!conditions.is_array()) return "";
    for (const Json& one : conditions) {
      if (string_or(one, "type") == "PodScheduled" && string_or(one, "status") == "False")
        return string_or(one, "reason") + ": " + string_or(one, "message");
    }
    return "";
  }
  test::TestCluster cluster_;
};

TEST_F(SchedulerTest, BindsAndTells) {
  cluster_.apply(pod("a", "1"));
  cluster_.settle();
  EXPECT_EQ(node_of("a"), test::kNodeName);
  EXPECT_EQ(cluster_.events("Pod", "a"),
            std::vector<std::string>{"Scheduled: Successfully assigned default/a to test-node"});
}

TEST_F(SchedulerTest, RefusesUntilThereIsRoom) {
  cluster_.apply(pod("a", "1500m"));
  cluster_.settle();
  cluster_.apply(pod("b", "1"));
  cluster_.settle();
  const std::string why =
      "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No "
      "preemption victims found for incoming pod.";
  EXPECT_EQ(node_of("b"), "");
  EXPECT_EQ(unschedulable("b"), "Unschedulable: " + why);
  EXPECT_EQ(cluster_.events("Pod", "b"), std::vector<std::string>{"FailedScheduling: " + why});
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  ASSERT_TRUE(cluster_.remove(kPods, "default", "a", now));
  EXPECT_TRUE(cluster_.wait_until([&] { return node_of("b") == test::kNodeName; }, 15s));
  EXPECT_EQ(unschedulable("b"), "");
}

TEST_F(SchedulerTest, AnotherPodsArrivalMattersToo) {
  cluster_.apply(pod("near", "100m", 0,
                     "  affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
                     "[{topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: "
                     "db}}}]}}\n"));
  cluster_.settle();
  EXPECT_EQ(node_of("near"), "");
  Json db = {{"apiVersion", "v1"},
             {"kind", "Pod"},
             {"metadata", {{"name", "db"}, {"labels", {{"app", "db"}}}}},
             {"spec", {{"containers", {{{"name", "c"}, {"image", "i"}}}}}}};
  ASSERT_TRUE(cluster_.create(kPods, "default", db));
  EXPECT_TRUE(cluster_.wait_until([&] { return !node_of("near").empty(); }, 15s));
}

TEST_F(SchedulerTest, GatesAndOtherSchedulers) {
  cluster_.apply(pod("gated", "1", 0, "  schedulingGates: [{name: x.io/wait}]\n"));
  cluster_.apply(pod("foreign", "1", 0, "  schedulerName: mine\n"));
  cluster_.settle();
  EXPECT_EQ(unschedulable("gated"),
            "SchedulingGated: Scheduling is blocked due to non-empty scheduling gates");
  EXPECT_EQ(unschedulable("foreign"), "");
  EXPECT_EQ(node_of("foreign"), "");
  ASSERT_TRUE(
      cluster_.patch(kPods, "default", "gated", {{"spec", {{"schedulingGates", nullptr}}}}));
  EXPECT_TRUE(cluster_.wait_until([&] { return !node_of("gated").empty(); }, 15s));
}

TEST_F(SchedulerTest, PreemptsTheLessImportant) {
  cluster_.apply(
      "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: "
      "important}\nvalue: 1000\n");
  cluster_.apply(pod("low", "2"));
  cluster_.settle();
  ASSERT_EQ(node_of("low"), test::kNodeName);
  cluster_.apply(pod("high", "2", 1));
  cluster_.settle();
  ObjectPtr victim = cluster_.get(kPods, "default", "low");
  ASSERT_TRUE(victim);
  EXPECT_TRUE(victim->meta().deletion_time) << "it gets its grace";
  EXPECT_EQ(cluster_.field(kPods, "default", "high", "/status/nominatedNodeName"), test::kNodeName);
  EXPECT_EQ(unschedulable("high"), "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.");
  bool told = false;
  for (const Json& one : cluster_.field(kPods, "default", "low", "/status/conditions"))
    told = told || string_or(one, "reason") == "PreemptionByScheduler";
  EXPECT_TRUE(told);
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  ASSERT_TRUE(cluster_.remove(kPods, "default", "low", now));
  EXPECT_TRUE(cluster_.wait_until([&] { return node_of("high") == test::kNodeName; }, 15s));
}

}  // namespace
}  // namespace moth::scheduler
