// Deployments against the real server, store, scheduler and ReplicaSet controller.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/resources/apps_v1/replica_set_view.h"
#include "api/resources/core_v1/pod_view.h"
#include "daemon/controllers/deployment/deployment_controller.h"
#include "daemon/controllers/replicaset/replicaset_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::test {
namespace {

using client::gvr::kDeployments;
using client::gvr::kPods;
using client::gvr::kReplicaSets;
using resources::PodView;
using resources::ReplicaSetView;
using std::chrono::seconds;

constexpr const char* kDeployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {kubernetes.io/change-cause: first}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: "web:1"}]
)";

// Watches the bounds of a rolling update after every commit.
struct Bounds {
  int most_pods = 0, fewest_available = 1000;
  bool armed = false;

  void look(const client::ObjectReader& reader) {
    if (!armed) return;
    int active = 0, ready = 0;
    for (const ObjectPtr& pod : reader.list(kPods, "default")) {
      const auto& view = pod->view<PodView>();
      if (!view.is_active()) continue;
      ++active;
      if (view.is_ready()) ++ready;
    }
    most_pods = std::max(most_pods, active);
    fewest_available = std::min(fewest_available, ready);
  }
};

class Deployments : public testing::Test {
 protected:
  Deployments() {
    cluster.add(controllers::make_replicaset_controller);
    cluster.add(controllers::make_deployment_controller);
    cluster.reader().subscribe(kPods, [this](const auto&) { bounds.look(cluster.reader()); });
    cluster.start();
  }

  Json at(const std::string& pointer) {
    return cluster.field(kDeployments, "default", "web", pointer);
  }
  Json condition(const std::string& type, const std::string& member) {
    for (const Json& one : at("/status/conditions")) {
      if (one["type"] == type) return one.value(member, Json(nullptr));
    }
    return nullptr;
  }
  bool complete() {
    Json wanted = at("/spec/replicas");
    return at("/status/observedGeneration") == at("/metadata/generation") &&
           at("/status/updatedReplicas") == wanted && at("/status/replicas") == wanted &&
           at("/status/availableReplicas") == wanted &&
           condition("Progressing", "reason") == "NewReplicaSetAvailable";
  }
  bool wait_complete() {
    return cluster.wait_until([&] { return complete(); });
  }
  void set_image(const std::string& image) {
    Json container = {{"name", "c"}, {"image", image}};
    Json template_spec = {{"containers", Json::array({container})}};
    ASSERT_TRUE(cluster.patch(kDeployments, "default", "web",
                              {{"spec", {{"template", {{"spec", template_spec}}}}}}));
  }
  // Image -> the ReplicaSet that has it.
  ObjectPtr set_of(const std::string& image) {
    for (const ObjectPtr& set : cluster.list(kReplicaSets, "default")) {
      if (set->parse()["spec"]["template"]["spec"]["containers"][0]["image"] == image) return set;
    }
    return nullptr;
  }
  int size_of(const std::string& image) {
    ObjectPtr set = set_of(image);
    return set ? set->view<ReplicaSetView>().replicas : -1;
  }
  bool has_event(const std::string& text) {
    auto events = cluster.events("Deployment", "web");
    return std::find(events.begin(), events.end(), text) != events.end();
  }
  static bool is_broken(const Object& pod) {
    return pod.view<PodView>().containers()[0].image == "web:broken";
  }

  Bounds bounds;
  TestCluster cluster;
};

TEST_F(Deployments, CreateAndScale) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  ObjectPtr set = set_of("web:1");
  ASSERT_TRUE(set);
  const std::string& hash = set->view<ReplicaSetView>().pod_template_hash();
  EXPECT_EQ(set->name(), "web-" + hash);
  EXPECT_EQ(set->meta().annotation("deployment.kubernetes.io/revision"), "1");
  EXPECT_EQ(set->meta().annotation("deployment.kubernetes.io/desired-replicas"), "4");
  EXPECT_EQ(set->meta().annotation("deployment.kubernetes.io/max-replicas"), "5");
  EXPECT_EQ(set->meta().annotation("kubernetes.io/change-cause"), "first");
  EXPECT_EQ(at("/metadata/annotations/deployment.kubernetes.io~1revision"), "1");
  EXPECT_EQ(set->parse()["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
  EXPECT_EQ(condition("Available", "reason"), "MinimumReplicasAvailable");
  EXPECT_EQ(condition("Progressing", "message"),
            fmt::format("ReplicaSet \"{}\" has successfully progressed.", set->name()));
  EXPECT_TRUE(has_event(
      fmt::format("ScalingReplicaSet: Scaled up replica set {} from 0 to 4", set->name())));

  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 6));
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(size_of("web:1"), 6);
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 0));
  ASSERT_TRUE(cluster.wait_until([&] { return cluster.list(kPods, "default").empty(); }));
  EXPECT_EQ(cluster.list(kReplicaSets, "default").size(), 1u);
  EXPECT_TRUE(has_event(
      fmt::format("ScalingReplicaSet: Scaled down replica set {} from 6 to 0", set->name())));
}

TEST_F(Deployments, RollingUpdateKeepsItsBounds) {
  cluster.set_behaviour([](const Object&) {
    return PodBehaviour{
        .start_delay = seconds(1), .ready_delay = seconds(2), .stop_delay = seconds(3)};
  });
  cluster.apply(kDeployment);
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 10));
  ASSERT_TRUE(wait_complete());
  struct Case {
    Json surge, unavailable;
    int most, fewest;
  };
  // 25% of 10: surge rounds up, unavailable down.
  const std::vector<Case> cases = {
      {"25%", "25%", 13, 8}, {1, 0, 11, 10}, {0, 3, 10, 7}, {"100%", "50%", 20, 5}};
  int round = 1;
  for (const Case& one : cases) {
    SCOPED_TRACE(one.surge.dump() + " " + one.unavailable.dump());
    Json rolling = {{"maxSurge", one.surge}, {"maxUnavailable", one.unavailable}};
    ASSERT_TRUE(cluster.patch(kDeployments, "default", "web",
                              {{"spec", {{"strategy", {{"rollingUpdate", rolling}}}}}}));
    ASSERT_TRUE(wait_complete());
    bounds = {};
    bounds.armed = true;
    set_image(fmt::format("web:{}", ++round));
    ASSERT_TRUE(wait_complete());
    EXPECT_LE(bounds.most_pods, one.most);
    EXPECT_GE(bounds.fewest_available, one.fewest);
    // The bounds are used, not only kept.
    EXPECT_GT(bounds.most_pods + (10 - bounds.fewest_available), 10);
    bounds.armed = false;
    EXPECT_EQ(size_of(fmt::format("web:{}", round)), 10);
    EXPECT_EQ(size_of(fmt::format("web:{}", round - 1)), 0);
  }
}

TEST_F(Deployments, RollbackGivesTheOldSetANewRevision) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  ASSERT_TRUE(
      cluster.patch(kDeployments, "default", "web",
                    {{"metadata", {{"annotations", {{"kubernetes.io/change-cause", "second"}}}}}}));
  set_image("web:2");
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(at("/metadata/annotations/deployment.kubernetes.io~1revision"), "2");
  EXPECT_EQ(set_of("web:2")->meta().annotation("kubernetes.io/change-cause"), "second");
  std::string first = set_of("web:1")->uid();

  set_image("web:1");
  ASSERT_TRUE(wait_complete());
  ObjectPtr again = set_of("web:1");
  EXPECT_EQ(again->uid(), first);
  EXPECT_EQ(again->meta().annotation("deployment.kubernetes.io/revision"), "3");
  EXPECT_EQ(again->meta().annotation("deployment.kubernetes.io/revision-history"), "1");
  EXPECT_EQ(at("/metadata/annotations/deployment.kubernetes.io~1revision"), "3");
  EXPECT_EQ(cluster.list(kReplicaSets, "default").size(), 2u);
  EXPECT_EQ(size_of("web:1"), 4);
  EXPECT_EQ(size_of("web:2"), 0);
}

TEST_F(Deployments, BrokenImageStopsAndMissesTheDeadline) {
  cluster.set_behaviour([](const Object& pod) { return PodBehaviour{.ready = !is_broken(pod)}; });
  cluster.apply(kDeployment);
  ASSERT_TRUE(
      cluster.patch(kDeployments, "default", "web", {{"spec", {{"progressDeadlineSeconds", 60}}}}));
  ASSERT_TRUE(wait_complete());
  bounds.armed = true;
  set_image("web:broken");
  cluster.settle();
  EXPECT_EQ(condition("Progressing", "reason"), "ReplicaSetUpdated");
  // 25% of 4: one more, one less.
  EXPECT_EQ(size_of("web:broken"), 2);
  EXPECT_EQ(size_of("web:1"), 3);
  EXPECT_EQ(condition("Available", "status"), "True");
  cluster.advance(seconds(59));
  EXPECT_EQ(condition("Progressing", "status"), "True");
  cluster.advance(seconds(3));
  EXPECT_EQ(condition("Progressing", "status"), "False");
  EXPECT_EQ(condition("Progressing", "reason"), "ProgressDeadlineExceeded");
  EXPECT_EQ(
      condition("Progressing", "message"),
      fmt::format("ReplicaSet \"{}\" has timed out progressing.", set_of("web:broken")->name()));
  EXPECT_EQ(bounds.most_pods, 5);
  EXPECT_EQ(bounds.fewest_available, 3);

  set_image("web:1");
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(size_of("web:broken"), 0);
  EXPECT_EQ(condition("Progressing", "status"), "True");
}

TEST_F(Deployments, PauseHoldsRolloutsButNotScaling) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  ASSERT_TRUE(cluster.patch(kDeployments, "default", "web", {{"spec", {{"paused", true}}}}));
  set_image("web:2");
  cluster.settle();
  EXPECT_EQ(condition("Progressing", "reason"), "DeploymentPaused");
  EXPECT_EQ(condition("Progressing", "status"), "Unknown");
  EXPECT_FALSE(set_of("web:2"));
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 7));
  ASSERT_TRUE(cluster.wait_until([&] { return at("/status/availableReplicas") == 7; }));
  EXPECT_EQ(at("/status/updatedReplicas"), nullptr);
  EXPECT_EQ(size_of("web:1"), 7);
  cluster.advance(std::chrono::hours(1));
  EXPECT_EQ(condition("Progressing", "reason"), "DeploymentPaused");
  ASSERT_TRUE(cluster.patch(kDeployments, "default", "web", {{"spec", {{"paused", false}}}}));
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(size_of("web:2"), 7);
}

TEST_F(Deployments, RecreateWaitsForTheEndOfOldPods) {
  cluster.set_behaviour([](const Object&) { return PodBehaviour{.stop_delay = seconds(10)}; });
  cluster.apply(kDeployment);
  ASSERT_TRUE(cluster.patch(
      kDeployments, "default", "web",
      {{"spec", {{"strategy", {{"type", "Recreate"}, {"rollingUpdate", nullptr}}}}}}));
  ASSERT_TRUE(wait_complete());
  set_image("web:2");
  cluster.settle();
  EXPECT_EQ(size_of("web:1"), 0);
  EXPECT_FALSE(set_of("web:2"));
  EXPECT_EQ(cluster.list(kPods, "default").size(), 4u);  // they terminate
  cluster.advance(seconds(9));
  EXPECT_FALSE(set_of("web:2"));
  cluster.advance(seconds(2));
  EXPECT_EQ(size_of("web:2"), 4);
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(condition("Available", "status"), "True");
}

TEST_F(Deployments, ScalingDuringARolloutIsProportional) {
  cluster.set_behaviour([](const Object& pod) { return PodBehaviour{.ready = !is_broken(pod)}; });
  cluster.apply(kDeployment);
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 10));
  ASSERT_TRUE(cluster.patch(
      kDeployments, "default", "web",
      {{"spec", {{"strategy", {{"rollingUpdate", {{"maxSurge", 3}, {"maxUnavailable", 2}}}}}}}}));
  ASSERT_TRUE(wait_complete());
  set_image("web:broken");
  cluster.settle();
  EXPECT_EQ(size_of("web:1"), 8);
  EXPECT_EQ(size_of("web:broken"), 5);
  // The example of upstream's documentation: 10 to 15 adds 3 to the old and 2 to the new set.
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 15));
  cluster.settle();
  EXPECT_EQ(size_of("web:1"), 11);
  EXPECT_EQ(size_of("web:broken"), 7);
}

TEST_F(Deployments, HistoryIsCleanedUp) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(
      cluster.patch(kDeployments, "default", "web", {{"spec", {{"revisionHistoryLimit", 2}}}}));
  ASSERT_TRUE(wait_complete());
  for (int i = 2; i <= 6; ++i) {
    set_image(fmt::format("web:{}", i));
    ASSERT_TRUE(wait_complete());
  }
  cluster.settle();
  std::set<std::string> revisions;
  for (const ObjectPtr& set : cluster.list(kReplicaSets, "default")) {
    revisions.insert(set->meta().annotation("deployment.kubernetes.io/revision"));
  }
  EXPECT_EQ(revisions, (std::set<std::string>{"4", "5", "6"}));
}

TEST_F(Deployments, AnotherSetWithItsNameChangesTheHash) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  // A stranger with the name that the next set would get.
  Json stranger = set_of("web:1")->parse();
  auto name = stranger["metadata"]["name"].get<std::string>();
  ASSERT_TRUE(cluster.remove(kDeployments, "default", "web"));
  ASSERT_TRUE(cluster.remove(kReplicaSets, "default", name));
  cluster.settle();
  for (const ObjectPtr& pod : cluster.list(kPods, "default")) {
    ASSERT_TRUE(cluster.remove(kPods, "default", pod->name()));
  }
  Json labels = {{"app", "other"}};
  stranger["metadata"] = {{"name", name}, {"namespace", "default"}};
  stranger["spec"]["selector"] = {{"matchLabels", labels}};
  stranger["spec"]["template"]["metadata"]["labels"] = labels;
  stranger["spec"]["replicas"] = 0;
  stranger.erase("status");
  ASSERT_TRUE(cluster.create(kReplicaSets, "default", stranger));

  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(at("/status/collisionCount"), 1);
  std::set<std::string> names;
  for (const ObjectPtr& set : cluster.list(kReplicaSets, "default")) names.insert(set->name());
  EXPECT_EQ(names.size(), 2u);
  EXPECT_TRUE(names.contains(name));
}

TEST_F(Deployments, AdoptOrphanedSets) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  ObjectPtr set = set_of("web:1");
  client::DeleteOptions options;
  ASSERT_TRUE(cluster.remove(kDeployments, "default", "web", options));
  ASSERT_TRUE(cluster.patch(kReplicaSets, "default", set->name(),
                            {{"metadata", {{"ownerReferences", nullptr}}}}));
  cluster.settle();
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  auto sets = cluster.list(kReplicaSets, "default");
  ASSERT_EQ(sets.size(), 1u);
  EXPECT_EQ(sets[0]->uid(), set->uid());
  ASSERT_TRUE(sets[0]->meta().controller());
  EXPECT_EQ(sets[0]->meta().controller()->uid, cluster.get(kDeployments, "default", "web")->uid());
}

TEST_F(Deployments, ReplicaFailureIsPassedOn) {
  cluster.apply(kDeployment);
  ASSERT_TRUE(wait_complete());
  ASSERT_TRUE(
      cluster.patch(kDeployments, "default", "web",
                    {{"spec", {{"template", {{"spec", {{"serviceAccountName", "robot"}}}}}}}}));
  ASSERT_TRUE(cluster.wait_until([&] { return condition("ReplicaFailure", "status") == "True"; },
                                 seconds(10)));
  EXPECT_EQ(condition("ReplicaFailure", "reason"), "FailedCreate");
  cluster.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot}}");
  ASSERT_TRUE(wait_complete());
  EXPECT_EQ(condition("ReplicaFailure", "status"), nullptr);
}

}  // namespace
}  // namespace moth::test
