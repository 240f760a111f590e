// Quotas, disruption budgets, taints and pod garbage in a whole control plane.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>

#include "api/base/task_scope.h"
#include "api/machinery/yaml.h"
#include "daemon/controllers/disruption/disruption_controller.h"
#include "daemon/controllers/podgc/podgc_controller.h"
#include "daemon/controllers/replicaset/replicaset_controller.h"
#include "daemon/controllers/resourcequota/resourcequota_controller.h"
#include "daemon/controllers/tainteviction/tainteviction_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth {
namespace {

using namespace std::chrono_literals;
using client::gvr::kNodes;
using client::gvr::kPods;
using client::gvr::kReplicaSets;
const Gvr kQuotas{"", "v1", "resourcequotas"};
const Gvr kBudgets{"policy", "v1", "poddisruptionbudgets"};

Json yaml(std::string_view text) {
  return parse_yaml_documents(text)->front().value;
}

Json pod(const std::string& name) {
  return yaml("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
              ", labels: {app: web}}\nspec: {containers: [{name: c, image: i}]}");
}

class PolicyTest : public ::testing::Test {
 protected:
  PolicyTest() {
    registry_ = std::move(*resources::make_registry());
    cluster_.add([this](controllers::ControllerContext context) {
      return controllers::make_resourcequota_controller(context, *registry_);
    });
    cluster_.add([this](controllers::ControllerContext context) {
      return controllers::make_disruption_controller(context, *registry_);
    });
    cluster_.add(controllers::make_tainteviction_controller);
    cluster_.add(controllers::make_replicaset_controller);
    cluster_.add([](controllers::ControllerContext context) {
      return controllers::make_podgc_controller(context);
    });
    cluster_.start();
  }

  Result<ObjectPtr> evict(const std::string& name, Json delete_options = Json::object()) {
    client::WriteOptions options;
    options.subresource = "eviction";
    auto evicted =
        cluster_.run(cluster_.client().create(kPods, "default",
                                              {{"apiVersion", "policy/v1"},
                                               {"kind", "Eviction"},
                                               {"metadata", {{"name", name}}},
                                               {"deleteOptions", std::move(delete_options)}},
                                              options, name));
    return evicted;
  }
  std::vector<std::string> running() {
    std::vector<std::string> names;
    for (const ObjectPtr& object : cluster_.list(kPods, "default")) {
      if (!object->meta().deletion_time) names.push_back(object->name());
    }
    return names;
  }
  Json budget(const std::string& field) {
    return cluster_.field(kBudgets, "default", "b", "/status/" + field);
  }
  void start_web(int replicas) {
    cluster_.apply(
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: web}\nspec: {replicas: " +
        std::to_string(replicas) +
        ", selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: "
        "web}}, spec: {containers: [{name: c, image: i}]}}}");
    cluster_.settle();
  }

  std::unique_ptr<resources::Registry> registry_;
  test::TestCluster cluster_;
};

TEST_F(PolicyTest, SixteenConcurrentCreatorsGetNoMoreThanTheQuota) {
  cluster_.apply(
      "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {pods: \"10\"}}");
  cluster_.settle();
  // All are staged before any of them is committed.
  int made = 0, refused = 0;
  auto create = [&](int who) -> Task<Result<ObjectPtr>> {
    auto created =
        co_await cluster_.client().create(kPods, "default", pod("p" + std::to_string(who)), {}, "");
    (created ? made : refused)++;
    co_return created;
  };
  auto all = [&]() -> Task<Result<ObjectPtr>> {
    TaskScope scope(co_await asio::this_coro::executor);
    auto discard = [](Task<Result<ObjectPtr>> task) -> Task<void> {
      (void)co_await std::move(task);
    };
    for (int i = 0; i < 16; ++i) scope.spawn("creator", discard(create(i)));
    co_await scope.join();
    co_return ObjectPtr();
  };
  ASSERT_TRUE(cluster_.run(all()));
  EXPECT_EQ(made, 10);
  EXPECT_EQ(refused, 6);
  cluster_.settle();
  EXPECT_EQ(cluster_.field(kQuotas, "default", "q", "/status/used/pods"), "10");
  EXPECT_EQ(cluster_.field(kQuotas, "default", "q", "/status/hard/pods"), "10");
  ASSERT_TRUE(cluster_.remove(kPods, "default", running().front(), {.grace_period_seconds = 0}));
  cluster_.settle();
  EXPECT_EQ(cluster_.field(kQuotas, "default", "q", "/status/used/pods"), "9");
}

TEST_F(PolicyTest, ABudgetAllowsAsManyEvictionsAsItSays) {
  start_web(3);
  cluster_.apply(
      "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {minAvailable: "
      "2, selector: {matchLabels: {app: web}}}");
  cluster_.settle();
  EXPECT_EQ(budget("currentHealthy"), 3);
  EXPECT_EQ(budget("desiredHealthy"), 2);
  EXPECT_EQ(budget("disruptionsAllowed"), 1);
  EXPECT_EQ(budget("expectedPods"), 3);
  EXPECT_EQ(budget("observedGeneration"), 1);
  EXPECT_EQ(budget("conditions/0/reason"), "SufficientPods");
  // New pods do not get ready, so nothing makes up for what is evicted.
  cluster_.set_behaviour([](const Object&) {
    test::PodBehaviour behaviour;
    behaviour.ready = false;
    return behaviour;
  });
  auto names = running();
  auto first = evict(names[0]);
  ASSERT_TRUE(first) << first.error().message;
  auto second = evict(names[1]);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), 429);
  EXPECT_EQ(second.error().message,
            "Cannot evict pod as it would violate the pod's disruption budget.");
  ASSERT_EQ(second.error().causes.size(), 1u);
  EXPECT_EQ(second.error().causes[0].reason, "DisruptionBudget");
  EXPECT_EQ(second.error().causes[0].message.substr(0, 40),
            "The disruption budget b needs 2 healthy ");
}

TEST_F(PolicyTest, PercentagesGoByTheScaleOfTheController) {
  start_web(4);
  cluster_.apply(
      "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: "
      "{maxUnavailable: 30%, selector: {matchLabels: {app: web}}}");
  cluster_.settle();
  EXPECT_EQ(budget("expectedPods"), 4);
  EXPECT_EQ(budget("desiredHealthy"), 2);  // 4 - ceil(1.2)
  EXPECT_EQ(budget("disruptionsAllowed"), 2);
}

TEST_F(PolicyTest, TwoBudgetsForOnePodAreAnError) {
  start_web(1);
  for (const char* name : {"b", "c"}) {
    cluster_.apply(
        std::string("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: ") + name +
        "}\nspec: {minAvailable: 0, selector: {}}");
  }
  cluster_.settle();
  auto evicted = evict(running().front());
  ASSERT_FALSE(evicted);
  EXPECT_EQ(evicted.error().code(), 500);
  EXPECT_EQ(evicted.error().message,
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does "
            "not support.");
}

TEST_F(PolicyTest, EvictionsWithPreconditionsAndDryRunsLeaveThePod) {
  start_web(1);
  std::string name = running().front();
  auto wrong = evict(name, {{"preconditions", {{"uid", "other"}}}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), 409);
  EXPECT_TRUE(evict(name, {{"dryRun", {"All"}}}));
  EXPECT_EQ(running(), std::vector<std::string>{name});
}

TEST_F(PolicyTest, UnhealthyPodsGoFreelyWhenThePolicySaysSo) {
  cluster_.set_behaviour([](const Object&) {
    test::PodBehaviour behaviour;
    behaviour.ready = false;
    return behaviour;
  });
  start_web(2);
  cluster_.apply(
      "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {minAvailable: "
      "2, selector: {matchLabels: {app: web}}}");
  cluster_.settle();
  auto names = running();
  EXPECT_FALSE(evict(names[0]));
  cluster_.apply(
      "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: b}\nspec: {minAvailable: "
      "2, unhealthyPodEvictionPolicy: AlwaysAllow, selector: {matchLabels: {app: web}}}");
  cluster_.settle();
  EXPECT_TRUE(evict(names[0]));
}

TEST_F(PolicyTest, NoExecuteTaintsEvictAtOnceOrInTime) {
  ASSERT_TRUE(cluster_.create(kPods, "default", pod("plain")));
  Json tolerant = pod("tolerant");
  tolerant["spec"]["tolerations"] = Json::array({{{"key", "gone"},
                                                  {"operator", "Exists"},
                                                  {"effect", "NoExecute"},
                                                  {"tolerationSeconds", 60}}});
  ASSERT_TRUE(cluster_.create(kPods, "default", tolerant));
  Json stoic = pod("stoic");
  stoic["spec"]["tolerations"] = Json::array({{{"operator", "Exists"}}});
  ASSERT_TRUE(cluster_.create(kPods, "default", stoic));
  cluster_.settle();
  ASSERT_TRUE(cluster_.patch(
      kNodes, "", test::kNodeName,
      {{"spec", {{"taints", Json::array({{{"key", "gone"}, {"effect", "NoExecute"}}})}}}}));
  cluster_.settle();
  EXPECT_EQ(running(), (std::vector<std::string>{"stoic", "tolerant"}));
  cluster_.advance(59s);
  EXPECT_EQ(running(), (std::vector<std::string>{"stoic", "tolerant"}));
  cluster_.advance(2s);
  EXPECT_EQ(running(), std::vector<std::string>{"stoic"});
}

TEST_F(PolicyTest, ATaintThatGoesInTimeSparesThePod) {
  Json tolerant = pod("tolerant");
  tolerant["spec"]["tolerations"] = Json::array({{{"key", "gone"},
                                                  {"operator", "Exists"},
                                                  {"effect", "NoExecute"},
                                                  {"tolerationSeconds", 60}}});
  ASSERT_TRUE(cluster_.create(kPods, "default", tolerant));
  cluster_.settle();
  ASSERT_TRUE(cluster_.patch(
      kNodes, "", test::kNodeName,
      {{"spec", {{"taints", Json::array({{{"key", "gone"}, {"effect", "NoExecute"}}})}}}}));
  cluster_.advance(30s);
  ASSERT_TRUE(cluster_.patch(kNodes, "", test::kNodeName, {{"spec", {{"taints", nullptr}}}}));
  cluster_.advance(90s);
  EXPECT_EQ(running(), std::vector<std::string>{"tolerant"});
}

TEST_F(PolicyTest, PodsOfANodeThatIsGoneAreCollected) {
  ASSERT_TRUE(cluster_.create(kPods, "default", pod("p")));
  cluster_.settle();
  ASSERT_TRUE(cluster_.remove(kNodes, "", test::kNodeName));
  cluster_.advance(30s);
  EXPECT_TRUE(cluster_.get(kPods, "default", "p"));
  cluster_.advance(60s);
  EXPECT_FALSE(cluster_.get(kPods, "default", "p"));
}

}  // namespace
}  // namespace moth
