#include "daemon/controllers/deployment/deployment_plan.h"

#include <gtest/gtest.h>

#include "api/machinery/hash.h"
#include "api/machinery/time.h"
#include "daemon/controllers/deployment/deployment_status.h"

namespace moth::controllers {
namespace {

using std::chrono::seconds;

const WallTime kNow = WallTime(seconds(1'750'000'000));

Json pod_template(const std::string& image) {
  Json container = {{"name", "c"}, {"image", image}};
  return {{"metadata", {{"labels", {{"app", "web"}}}}},
          {"spec", {{"containers", Json::array({container})}}}};
}

Json deployment_json() {
  return {
      {"apiVersion", "apps/v1"},
      {"kind", "Deployment"},
      {"metadata", {{"name", "web"}, {"namespace", "default"}, {"uid", "d"}, {"generation", 2}}},
      {"spec",
       {{"replicas", 4},
        {"progressDeadlineSeconds", 600},
        {"revisionHistoryLimit", 1},
        {"selector", {{"matchLabels", {{"app", "web"}}}}},
        {"template", pod_template("web:2")},
        {"strategy",
         {{"type", "RollingUpdate"},
          {"rollingUpdate", {{"maxSurge", 1}, {"maxUnavailable", 1}}}}}}}};
}

struct SetSpec {
  std::string name, image;
  int age = 0;  // seconds; larger is older
  int spec = 0, available = 0;
  std::string revision = "1";
  std::string desired = "4", max = "5";
};

ObjectPtr make_set(const SetSpec& spec) {
  Json body = pod_template(spec.image);
  body["metadata"]["labels"]["pod-template-hash"] = spec.name;
  return Object::from_json({{"apiVersion", "apps/v1"},
                            {"kind", "ReplicaSet"},
                            {"metadata",
                             {{"name", spec.name},
                              {"namespace", "default"},
                              {"uid", spec.name},
                              {"generation", 1},
                              {"creationTimestamp", format_rfc3339(kNow - seconds(spec.age))},
                              {"annotations",
                               {{"deployment.kubernetes.io/revision", spec.revision},
                                {"deployment.kubernetes.io/desired-replicas", spec.desired},
                                {"deployment.kubernetes.io/max-replicas", spec.max}}}}},
                            {"spec", {{"replicas", spec.spec}, {"template", body}}},
                            {"status",
                             {{"replicas", spec.spec},
                              {"readyReplicas", spec.available},
                              {"availableReplicas", spec.available},
                              {"observedGeneration", 1}}}});
}

DeploymentInputs inputs_of(const Json& deployment, const std::vector<SetSpec>& sets) {
  DeploymentInputs inputs;
  inputs.deployment = Object::from_json(deployment);
  for (const SetSpec& set : sets) inputs.sets.push_back(make_set(set));
  inputs.now = kNow;
  return inputs;
}

std::map<std::string, int> sizes(const DeploymentPlan& plan) {
  std::map<std::string, int> out;
  for (const SetChange& change : plan.changes) out[change.set->name()] = change.replicas;
  return out;
}

Json condition(const Json& status, const std::string& type) {
  for (const Json& one : status.value("conditions", Json::array())) {
    if (one["type"] == type) return one;
  }
  return nullptr;
}

TEST(DeploymentPlan, FirstSet) {
  Json deployment = deployment_json();
  DeploymentPlan plan = plan_deployment(inputs_of(deployment, {}));
  ASSERT_TRUE(plan.create);
  const Json& set = *plan.create;
  std::string hash = template_hash(deployment["spec"]["template"]);
  EXPECT_EQ(set["metadata"]["name"], "web-" + hash);
  EXPECT_EQ(set["metadata"]["labels"], (Json{{"app", "web"}, {"pod-template-hash", hash}}));
  EXPECT_EQ(set["metadata"]["ownerReferences"][0]["uid"], "d");
  EXPECT_EQ(set["spec"]["replicas"], 4);
  EXPECT_EQ(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
  EXPECT_EQ(set["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], hash);
  EXPECT_EQ(plan.revision, "1");
  EXPECT_EQ(condition(plan.status, "Progressing")["reason"], "NewReplicaSetCreated");
}

TEST(DeploymentPlan, CollisionCountChangesTheName) {
  Json deployment = deployment_json();
  DeploymentPlan first = plan_deployment(inputs_of(deployment, {}));
  deployment["status"]["collisionCount"] = 0;
  DeploymentPlan second = plan_deployment(inputs_of(deployment, {}));
  EXPECT_NE((*first.create)["metadata"]["name"], (*second.create)["metadata"]["name"]);
  EXPECT_EQ(status_of_collision(*Object::from_json(deployment))["collisionCount"], 1);
}

TEST(DeploymentPlan, NewSetIsSizedForTheSurge) {
  DeploymentPlan plan =
      plan_deployment(inputs_of(deployment_json(), {{"old", "web:1", 100, 4, 4, "7"}}));
  ASSERT_TRUE(plan.create);
  EXPECT_EQ((*plan.create)["spec"]["replicas"], 1);
  EXPECT_EQ(plan.revision, "8");
}

TEST(DeploymentPlan, StepsOfARollout) {
  struct Case {
    SetSpec old_set, new_set;
    std::map<std::string, int> expected;
  };
  const std::vector<Case> cases = {
      {{"old", "web:1", 100, 4, 4}, {"new", "web:2", 10, 1, 0, "2"}, {{"old", 3}}},
      {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 1, 0, "2"}, {{"new", 2}}},
      {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 2, 0, "2"}, {}},
      {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 2, 2, "2"}, {{"old", 1}}},
      {{"old", "web:1", 100, 1, 1}, {"new", "web:2", 10, 2, 2, "2"}, {{"new", 4}}},
      {{"old", "web:1", 100, 1, 1}, {"new", "web:2", 10, 4, 4, "2"}, {{"old", 0}}},
      {{"old", "web:1", 100, 0, 0}, {"new", "web:2", 10, 4, 4, "2"}, {}},
  };
  for (const Case& one : cases) {
    DeploymentPlan plan = plan_deployment(inputs_of(deployment_json(), {one.new_set, one.old_set}));
    EXPECT_EQ(sizes(plan), one.expected) << one.old_set.spec << " " << one.new_set.spec;
    EXPECT_FALSE(plan.create);
    EXPECT_EQ(plan.revision, "2");
  }
}

TEST(DeploymentPlan, OldestOfEqualTemplatesIsTheNewSet) {
  DeploymentPlan plan = plan_deployment(inputs_of(
      deployment_json(), {{"young", "web:2", 10, 0, 0}, {"aged", "web:2", 100, 2, 2, "2"}}));
  EXPECT_EQ(sizes(plan), (std::map<std::string, int>{{"aged", 4}}));
}

TEST(DeploymentPlan, RolledBackSetGetsTheNextRevision) {
  DeploymentPlan plan = plan_deployment(inputs_of(
      deployment_json(), {{"back", "web:2", 100, 0, 0, "1"}, {"bad", "web:3", 10, 4, 4, "2"}}));
  ASSERT_EQ(plan.changes.size(), 1u);
  const Json& annotations = plan.changes[0].object["metadata"]["annotations"];
  EXPECT_EQ(annotations["deployment.kubernetes.io/revision"], "3");
  EXPECT_EQ(annotations["deployment.kubernetes.io/revision-history"], "1");
  EXPECT_EQ(plan.changes[0].replicas, 1);
  EXPECT_EQ(plan.revision, "3");
}

TEST(DeploymentPlan, ScalingIsDoneBeforeRollingOn) {
  Json deployment = deployment_json();
  deployment["spec"]["replicas"] = 8;
  DeploymentPlan plan = plan_deployment(
      inputs_of(deployment, {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 2, 0, "2"}}));
  // max 5 becomes 9: 3 * 9/5 = 5.4, 2 * 9/5 = 3.6.
  EXPECT_EQ(sizes(plan), (std::map<std::string, int>{{"old", 5}, {"new", 4}}));
  for (const SetChange& change : plan.changes) {
    EXPECT_EQ(change.object["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"],
              "8");
  }
}

TEST(DeploymentPlan, PausedMakesNoSet) {
  Json deployment = deployment_json();
  deployment["spec"]["paused"] = true;
  DeploymentPlan plan = plan_deployment(inputs_of(deployment, {{"old", "web:1", 100, 4, 4}}));
  EXPECT_FALSE(plan.create);
  EXPECT_TRUE(plan.changes.empty());
  EXPECT_EQ(condition(plan.status, "Progressing")["reason"], "DeploymentPaused");
  EXPECT_EQ(condition(plan.status, "Progressing")["status"], "Unknown");
  EXPECT_FALSE(plan.requeue);
}

TEST(DeploymentPlan, RecreateWaitsForPods) {
  Json deployment = deployment_json();
  deployment["spec"]["strategy"] = {{"type", "Recreate"}};
  DeploymentInputs inputs = inputs_of(deployment, {{"old", "web:1", 100, 4, 4, "1", "4", "4"}});
  EXPECT_EQ(sizes(plan_deployment(inputs)), (std::map<std::string, int>{{"old", 0}}));
  inputs = inputs_of(deployment, {{"old", "web:1", 100, 0, 0}});
  Json owner = {{"kind", "ReplicaSet"}, {"name", "old"}, {"uid", "old"}, {"controller", true}};
  inputs.live_pods.push_back(Object::from_json(
      {{"apiVersion", "v1"},
       {"kind", "Pod"},
       {"metadata", {{"name", "p"}, {"ownerReferences", Json::array({owner})}}}}));
  EXPECT_FALSE(plan_deployment(inputs).create);
  inputs.live_pods.clear();
  ASSERT_TRUE(plan_deployment(inputs).create);
  EXPECT_EQ((*plan_deployment(inputs).create)["spec"]["replicas"], 4);
}

TEST(DeploymentPlan, HistoryGoesWhenComplete) {
  Json deployment = deployment_json();
  std::vector<SetSpec> sets = {{"r1", "web:1", 100, 0, 0, "1"},
                               {"r3", "web:3", 80, 0, 0, "3"},
                               {"r2", "web:4", 90, 0, 0, "2"},
                               {"now", "web:2", 10, 4, 4, "4"}};
  EXPECT_TRUE(plan_deployment(inputs_of(deployment, sets)).remove.empty());
  deployment["status"] = {
      {"observedGeneration", 2}, {"replicas", 4}, {"updatedReplicas", 4}, {"availableReplicas", 4}};
  DeploymentPlan plan = plan_deployment(inputs_of(deployment, sets));
  ASSERT_EQ(plan.remove.size(), 2u);
  EXPECT_EQ(plan.remove[0]->name(), "r1");
  EXPECT_EQ(plan.remove[1]->name(), "r2");
}

Json progressing(const std::string& reason, int age) {
  std::string when = format_rfc3339(kNow - seconds(age));
  return {{"type", "Progressing"},
          {"status", "True"},
          {"reason", reason},
          {"lastUpdateTime", when},
          {"lastTransitionTime", when}};
}

TEST(DeploymentPlan, Deadline) {
  Json deployment = deployment_json();
  std::vector<SetSpec> stuck = {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 2, 0, "2"}};
  Json status = {{"observedGeneration", 2},
                 {"replicas", 5},
                 {"updatedReplicas", 2},
                 {"readyReplicas", 3},
                 {"availableReplicas", 3}};
  auto plan_at = [&](int age) {
    deployment["status"] = status;
    deployment["status"]["conditions"] = Json::array({progressing("ReplicaSetUpdated", age)});
    return plan_deployment(inputs_of(deployment, stuck));
  };
  DeploymentPlan plan = plan_at(100);
  EXPECT_EQ(condition(plan.status, "Progressing")["reason"], "ReplicaSetUpdated");
  EXPECT_EQ(plan.requeue, Duration(seconds(501)));
  plan = plan_at(600);
  EXPECT_EQ(condition(plan.status, "Progressing")["status"], "True");
  EXPECT_EQ(plan.requeue, Duration(seconds(1)));
  plan = plan_at(601);
  EXPECT_EQ(condition(plan.status, "Progressing")["reason"], "ProgressDeadlineExceeded");
  EXPECT_EQ(condition(plan.status, "Progressing")["message"],
            "ReplicaSet \"new\" has timed out progressing.");
  EXPECT_FALSE(plan.requeue);
}

TEST(DeploymentPlan, ProgressMovesLastUpdateTimeOnly) {
  Json deployment = deployment_json();
  deployment["status"] = {{"replicas", 5}, {"updatedReplicas", 1}, {"availableReplicas", 3}};
  deployment["status"]["conditions"] = Json::array({progressing("ReplicaSetUpdated", 300)});
  DeploymentPlan plan = plan_deployment(
      inputs_of(deployment, {{"old", "web:1", 100, 3, 3}, {"new", "web:2", 10, 2, 1, "2"}}));
  Json moved = condition(plan.status, "Progressing");
  EXPECT_EQ(moved["lastUpdateTime"], format_rfc3339(kNow));
  EXPECT_EQ(moved["lastTransitionTime"], format_rfc3339(kNow - seconds(300)));
}

TEST(DeploymentPlan, WithoutDeadlineNoProgressing) {
  Json deployment = deployment_json();
  deployment["spec"].erase("progressDeadlineSeconds");
  deployment["status"]["conditions"] = Json::array({progressing("ReplicaSetUpdated", 300)});
  DeploymentPlan plan = plan_deployment(inputs_of(deployment, {{"new", "web:2", 10, 4, 4, "1"}}));
  EXPECT_EQ(condition(plan.status, "Progressing"), nullptr);
  EXPECT_EQ(condition(plan.status, "Available")["status"], "True");
}

TEST(SameTemplate, IgnoresTheHashOnly) {
  Json a = pod_template("web:1"), b = a;
  b["metadata"]["labels"]["pod-template-hash"] = "x";
  b["metadata"]["creationTimestamp"] = nullptr;
  EXPECT_TRUE(same_template(a, b));
  b["metadata"]["labels"]["other"] = "x";
  EXPECT_FALSE(same_template(a, b));
}

}  // namespace
}  // namespace moth::controllers
