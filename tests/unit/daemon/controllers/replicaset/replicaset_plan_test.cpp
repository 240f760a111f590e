#include "daemon/controllers/replicaset/replicaset_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api/machinery/time.h"

namespace moth::controllers {
namespace {

using std::chrono::seconds;

const WallTime kNow = WallTime(seconds(1'750'000'000));

struct PodSpec {
  std::string name;
  std::string node = "n1";
  std::string phase = "Running";
  int ready_for = 1000;  // seconds; -1: not ready
  int restarts = 0;
  int age = 5000;
  std::string cost;
  bool deleting = false;
  std::string owner = "rs";
};

ObjectPtr make_pod(const PodSpec& spec) {
  Json owner = {
      {"kind", "ReplicaSet"}, {"name", spec.owner}, {"uid", spec.owner}, {"controller", true}};
  Json metadata = {{"name", spec.name},
                   {"namespace", "default"},
                   {"uid", spec.name},
                   {"labels", {{"app", "web"}}},
                   {"creationTimestamp", format_rfc3339(kNow - seconds(spec.age))},
                   {"ownerReferences", Json::array({owner})}};
  if (!spec.cost.empty()) {
    metadata["annotations"] = {{"controller.kubernetes.io/pod-deletion-cost", spec.cost}};
  }
  if (spec.deleting) metadata["deletionTimestamp"] = format_rfc3339(kNow);
  bool ready = spec.ready_for >= 0;
  Json condition = {
      {"type", "Ready"},
      {"status", ready ? "True" : "False"},
      {"lastTransitionTime", format_rfc3339(kNow - seconds(std::max(0, spec.ready_for)))}};
  Json container_status = {{"name", "c"}, {"restartCount", spec.restarts}};
  Json pod_spec = {{"containers", Json::array({Json{{"name", "c"}, {"image", "web"}}})}};
  if (!spec.node.empty()) pod_spec["nodeName"] = spec.node;
  return Object::from_json({{"apiVersion", "v1"},
                            {"kind", "Pod"},
                            {"metadata", metadata},
                            {"spec", pod_spec},
                            {"status",
                             {{"phase", spec.phase},
                              {"conditions", Json::array({condition})},
                              {"containerStatuses", Json::array({container_status})}}}});
}

Json set_json(int replicas) {
  return {
      {"apiVersion", "apps/v1"},
      {"kind", "ReplicaSet"},
      {"metadata", {{"name", "rs"}, {"namespace", "default"}, {"uid", "rs"}, {"generation", 3}}},
      {"spec",
       {{"replicas", replicas},
        {"template",
         {{"metadata", {{"labels", {{"app", "web"}}}, {"annotations", {{"a", "b"}}}}},
          {"spec", {{"containers", Json::array({Json{{"name", "c"}}})}}}}}}}};
}

std::vector<ObjectPtr> no_pods() {
  return {};
}

TEST(RankForDeletion, EachRuleBeforeTheNext) {
  // Each pod goes before the ones behind it, by a rule that comes before what speaks for it.
  const std::vector<PodSpec> order = {
      {.name = "unassigned", .node = "", .phase = "Pending", .ready_for = -1},
      {.name = "pending", .phase = "Pending", .ready_for = -1},
      {.name = "unknown", .phase = "Unknown", .ready_for = -1},
      {.name = "unready", .ready_for = -1},
      {.name = "cheap", .cost = "-5"},
      {.name = "just-ready", .ready_for = 10},
      {.name = "restarted", .restarts = 3},
      {.name = "restarted-less", .restarts = 1},
      {.name = "young", .age = 1500},
      {.name = "old", .age = 50000},
      {.name = "dear", .restarts = 9, .cost = "7"},
  };
  std::vector<ObjectPtr> pods;
  for (const PodSpec& spec : order) pods.insert(pods.begin(), make_pod(spec));
  pods = rank_for_deletion(std::move(pods), {}, kNow);
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(pods[i]->name(), order[i].name) << i;
}

TEST(RankForDeletion, CrowdedNodesFirst) {
  ObjectPtr alone = make_pod({.name = "alone", .node = "n1"});
  ObjectPtr crowded = make_pod({.name = "crowded", .node = "n2"});
  std::vector<ObjectPtr> related = {alone, crowded,
                                    make_pod({.name = "x", .node = "n2", .owner = "other"})};
  EXPECT_EQ(rank_for_deletion({alone, crowded}, related, kNow)[0]->name(), "crowded");
  // Finished pods take no place.
  related = {alone, crowded, make_pod({.name = "a", .node = "n1"}),
             make_pod({.name = "b", .node = "n2", .phase = "Failed"})};
  EXPECT_EQ(rank_for_deletion({crowded, alone}, related, kNow)[0]->name(), "alone");
}

TEST(RankForDeletion, AgesOfOneMagnitudeAreDecidedByUid) {
  ObjectPtr a = make_pod({.name = "a", .ready_for = 1000}),
            b = make_pod({.name = "b", .ready_for = 900});
  EXPECT_EQ(rank_for_deletion({a, b}, {}, kNow)[0]->name(), "a");
  ObjectPtr c = make_pod({.name = "c", .ready_for = 100});
  EXPECT_EQ(rank_for_deletion({a, c}, {}, kNow)[0]->name(), "c");
}

TEST(PlanReplicas, CountsActivePodsOnly) {
  ObjectPtr set = Object::from_json(set_json(3));
  std::vector<ObjectPtr> owned = {
      make_pod({.name = "a"}), make_pod({.name = "b", .phase = "Failed"}),
      make_pod({.name = "c", .phase = "Succeeded"}), make_pod({.name = "d", .deleting = true})};
  ReplicaSetPlan plan = plan_replicas(*set, owned, no_pods, kNow);
  EXPECT_EQ(plan.create, 2);
  EXPECT_TRUE(plan.remove.empty());
  EXPECT_EQ(plan_replicas(*Object::from_json(set_json(2000)), owned, no_pods, kNow).create, 500);
  plan = plan_replicas(*Object::from_json(set_json(0)), owned, no_pods, kNow);
  ASSERT_EQ(plan.remove.size(), 1u);
  EXPECT_EQ(plan.remove[0]->name(), "a");

  Json leaving = set_json(3);
  leaving["metadata"]["deletionTimestamp"] = format_rfc3339(kNow);
  EXPECT_EQ(plan_replicas(*Object::from_json(leaving), owned, no_pods, kNow).create, 0);
}

TEST(PodFromTemplate, CarriesLabelsAndOwner) {
  Json pod = pod_from_template(*Object::from_json(set_json(1)));
  EXPECT_EQ(pod["metadata"]["generateName"], "rs-");
  EXPECT_EQ(pod["metadata"]["labels"], (Json{{"app", "web"}}));
  EXPECT_EQ(pod["metadata"]["annotations"], (Json{{"a", "b"}}));
  EXPECT_EQ(pod["metadata"]["ownerReferences"][0]["controller"], true);
  EXPECT_EQ(pod["metadata"]["ownerReferences"][0]["blockOwnerDeletion"], true);
  EXPECT_EQ(pod["spec"]["containers"][0]["name"], "c");
}

TEST(ReplicaSetStatus, CountsAndNextAvailability) {
  Json set = set_json(3);
  set["spec"]["minReadySeconds"] = 60;
  std::vector<ObjectPtr> owned = {
      make_pod({.name = "a", .ready_for = 100}), make_pod({.name = "b", .ready_for = 50}),
      make_pod({.name = "c", .ready_for = 20}),  make_pod({.name = "d", .ready_for = -1}),
      make_pod({.name = "e", .deleting = true}), make_pod({.name = "f", .phase = "Failed"})};
  auto plan = plan_replicaset_status(*Object::from_json(set), owned, std::nullopt, kNow);
  EXPECT_EQ(plan.status, (Json{{"replicas", 4},
                               {"fullyLabeledReplicas", 4},
                               {"readyReplicas", 3},
                               {"availableReplicas", 1},
                               {"terminatingReplicas", 1},
                               {"observedGeneration", 3}}));
  EXPECT_EQ(plan.next_available, Duration(seconds(10)));
}

TEST(ReplicaSetStatus, FailureComesAndGoes) {
  Json set = set_json(1);
  ReplicaFailure failure{true, "exceeded quota"};
  auto plan = plan_replicaset_status(*Object::from_json(set), {}, failure, kNow);
  const Json condition = plan.status["conditions"][0];
  EXPECT_EQ(condition["type"], "ReplicaFailure");
  EXPECT_EQ(condition["reason"], "FailedCreate");
  EXPECT_EQ(condition["message"], "exceeded quota");
  set["status"] = plan.status;
  failure.message = "exceeded quota again";
  plan = plan_replicaset_status(*Object::from_json(set), {}, failure, kNow + seconds(5));
  EXPECT_EQ(plan.status["conditions"][0], condition);
  plan = plan_replicaset_status(*Object::from_json(set), {}, std::nullopt, kNow);
  EXPECT_FALSE(plan.status.contains("conditions"));
}

}  // namespace
}  // namespace moth::controllers
