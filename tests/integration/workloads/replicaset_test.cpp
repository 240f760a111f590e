// ReplicaSets against the real server, store and scheduler.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/resources/core_v1/pod_view.h"
#include "daemon/controllers/replicaset/replicaset_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::test {
namespace {

using client::gvr::kPods;
using client::gvr::kReplicaSets;
using resources::PodView;
using std::chrono::seconds;

constexpr const char* kSet = R"(
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: nginx}]
)";

class ReplicaSets : public testing::Test {
 protected:
  ReplicaSets() {
    cluster.add(controllers::make_replicaset_controller);
    cluster.start();
  }
  Json status(const std::string& member) {
    return cluster.field(kReplicaSets, "default", "web", "/status/" + member);
  }
  bool has_event(const std::string& text) {
    auto events = cluster.events("ReplicaSet", "web");
    return std::find(events.begin(), events.end(), text) != events.end();
  }
  TestCluster cluster;
};

TEST_F(ReplicaSets, CreateReadyPodsAndReportThem) {
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  EXPECT_EQ(status("replicas"), 3);
  EXPECT_EQ(status("availableReplicas"), 3);
  EXPECT_EQ(status("fullyLabeledReplicas"), 3);
  EXPECT_EQ(status("observedGeneration"), 1);
  auto pods = cluster.list(kPods, "default");
  ASSERT_EQ(pods.size(), 3u);
  for (const ObjectPtr& pod : pods) {
    EXPECT_TRUE(pod->name().starts_with("web-")) << pod->name();
    ASSERT_TRUE(pod->meta().controller());
    EXPECT_EQ(pod->meta().controller()->uid, cluster.get(kReplicaSets, "default", "web")->uid());
    EXPECT_TRUE(has_event("SuccessfulCreate: Created pod: " + pod->name()));
  }
}

TEST_F(ReplicaSets, ReplacePodsThatFailOrGo) {
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  std::string failed = cluster.list(kPods, "default")[0]->name();
  ASSERT_TRUE(
      cluster.patch(kPods, "default", failed, {{"status", {{"phase", "Failed"}}}}, "status"));
  cluster.settle();
  // A failed pod stays for its logs, but counts no more.
  EXPECT_EQ(cluster.list(kPods, "default").size(), 4u);
  EXPECT_EQ(status("readyReplicas"), 3);
  std::string gone = cluster.list(kPods, "default")[1]->name();
  ASSERT_TRUE(cluster.remove(kPods, "default", gone));
  cluster.settle();
  EXPECT_FALSE(cluster.get(kPods, "default", gone));
  EXPECT_EQ(status("readyReplicas"), 3);
}

TEST_F(ReplicaSets, CountTerminatingPodsApart) {
  cluster.set_behaviour([](const Object&) { return PodBehaviour{.stop_delay = seconds(10)}; });
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  ASSERT_TRUE(cluster.scale(kReplicaSets, "default", "web", 1));
  cluster.settle();
  EXPECT_EQ(status("replicas"), 1);
  EXPECT_EQ(status("terminatingReplicas"), 2);
  EXPECT_EQ(cluster.list(kPods, "default").size(), 3u);
  cluster.advance(seconds(11));
  EXPECT_EQ(status("terminatingReplicas"), 0);
  EXPECT_EQ(cluster.list(kPods, "default").size(), 1u);
}

TEST_F(ReplicaSets, ScaleDownHonoursDeletionCost) {
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  auto pods = cluster.list(kPods, "default");
  auto cost = [](const char* value) {
    return Json{
        {"metadata", {{"annotations", {{"controller.kubernetes.io/pod-deletion-cost", value}}}}}};
  };
  ASSERT_TRUE(cluster.patch(kPods, "default", pods[0]->name(), cost("10")));
  ASSERT_TRUE(cluster.patch(kPods, "default", pods[1]->name(), cost("100")));
  ASSERT_TRUE(cluster.scale(kReplicaSets, "default", "web", 1));
  cluster.settle();
  auto left = cluster.list(kPods, "default");
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0]->name(), pods[1]->name());
  EXPECT_TRUE(has_event("SuccessfulDelete: Deleted pod: " + pods[2]->name()));
}

TEST_F(ReplicaSets, AdoptAndRelease) {
  cluster.apply(R"(
apiVersion: v1
kind: Pod
metadata: {name: orphan, labels: {app: web}}
spec:
  containers: [{name: c, image: nginx}]
)");
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  EXPECT_EQ(cluster.list(kPods, "default").size(), 3u);
  ObjectPtr adopted = cluster.get(kPods, "default", "orphan");
  ASSERT_TRUE(adopted && adopted->meta().controller());
  EXPECT_TRUE(adopted->meta().controller()->block_owner_deletion);

  ASSERT_TRUE(
      cluster.patch(kPods, "default", "orphan", {{"metadata", {{"labels", {{"app", "debug"}}}}}}));
  cluster.settle();
  EXPECT_TRUE(cluster.get(kPods, "default", "orphan")->meta().owners.empty());
  EXPECT_EQ(cluster.list(kPods, "default").size(), 4u);

  // A matching pod too many is adopted, and one goes.
  ASSERT_TRUE(
      cluster.patch(kPods, "default", "orphan", {{"metadata", {{"labels", {{"app", "web"}}}}}}));
  cluster.settle();
  EXPECT_EQ(cluster.list(kPods, "default").size(), 3u);
}

TEST_F(ReplicaSets, MinReadySecondsDelayAvailability) {
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.patch(kReplicaSets, "default", "web", {{"spec", {{"minReadySeconds", 20}}}}));
  cluster.settle();
  EXPECT_EQ(status("readyReplicas"), 3);
  EXPECT_EQ(status("availableReplicas"), nullptr);
  cluster.advance(seconds(19));
  EXPECT_EQ(status("availableReplicas"), nullptr);
  cluster.advance(seconds(1));
  EXPECT_EQ(status("availableReplicas"), 3);
}

TEST_F(ReplicaSets, FailedCreatesAreToldAndTriedAgain) {
  // An account that is not there refuses every pod.
  Json patch = {{"spec", {{"template", {{"spec", {{"serviceAccountName", "robot"}}}}}}}};
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 3; }));
  ASSERT_TRUE(cluster.patch(kReplicaSets, "default", "web", patch));
  ASSERT_TRUE(cluster.scale(kReplicaSets, "default", "web", 5));
  ASSERT_TRUE(cluster.wait_until([&] { return status("conditions/0/reason") == "FailedCreate"; },
                                 seconds(5)));
  EXPECT_EQ(status("conditions/0/type"), "ReplicaFailure");
  EXPECT_EQ(status("conditions/0/status"), "True");
  EXPECT_EQ(status("replicas"), 3);
  cluster.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}");
  ASSERT_TRUE(cluster.wait_until([&] { return status("readyReplicas") == 5; }));
  EXPECT_EQ(status("conditions"), nullptr);
}

TEST_F(ReplicaSets, ManyAtOnce) {
  cluster.apply(kSet);
  ASSERT_TRUE(cluster.scale(kReplicaSets, "default", "web", 600));
  ASSERT_TRUE(cluster.wait_until([&] { return status("availableReplicas") == 600; }));
  ASSERT_TRUE(cluster.scale(kReplicaSets, "default", "web", 0));
  ASSERT_TRUE(cluster.wait_until([&] { return cluster.list(kPods, "default").empty(); }));
}

}  // namespace
}  // namespace moth::test
