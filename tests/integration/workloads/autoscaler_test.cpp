// HorizontalPodAutoscalers scale a Deployment by given usage.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "api/resources/core_v1/pod_view.h"
#include "daemon/controllers/deployment/deployment_controller.h"
#include "daemon/controllers/horizontalpodautoscaler/horizontalpodautoscaler_controller.h"
#include "daemon/controllers/replicaset/replicaset_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::test {
namespace {

using client::gvr::kDeployments;
using client::gvr::kHorizontalPodAutoscalers;
using client::gvr::kPods;
using std::chrono::seconds;

constexpr const char* kDeployment = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "web:1", resources: {requests: {cpu: 100m, memory: 64Mi}}}
)";

constexpr const char* kAutoscaler = R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}
)";

// Every running pod uses the same.
class GivenUsage final : public controllers::MetricsSource {
 public:
  struct Values {
    TestCluster* cluster = nullptr;
    std::int64_t cpu_milli = 0, memory_bytes = 0;
    bool served = true;
  };
  explicit GivenUsage(std::shared_ptr<Values> values) : values_(std::move(values)) {}
  Result<std::vector<client::PodUsage>> pod_usage(std::string_view ns) override {
    if (!values_->served) return controllers::make_node_metrics_source(nullptr)->pod_usage(ns);
    std::vector<client::PodUsage> all;
    for (const ObjectPtr& pod : values_->cluster->list(kPods, std::string(ns))) {
      if (pod->view<resources::PodView>().phase() != resources::PodPhase::kRunning) continue;
      client::PodUsage usage;
      usage.ns = pod->ns();
      usage.name = pod->name();
      usage.uid = pod->uid();
      usage.timestamp = values_->cluster->clock().wall();
      usage.window = seconds(10);
      usage.containers.push_back({"c", values_->cpu_milli * 1'000'000, values_->memory_bytes});
      all.push_back(std::move(usage));
    }
    return all;
  }

 private:
  std::shared_ptr<Values> values_;
};

class Autoscalers : public testing::Test {
 protected:
  Autoscalers() {
    usage->cluster = &cluster;
    cluster.add(controllers::make_replicaset_controller);
    cluster.add(controllers::make_deployment_controller);
    cluster.add([this](controllers::ControllerContext context) {
      controllers::AutoscalerOptions options;
      options.metrics = std::make_unique<GivenUsage>(usage);
      return controllers::make_horizontalpodautoscaler_controller(context, std::move(options));
    });
    cluster.start();
    cluster.apply(kDeployment);
    // Behind the time in which starting pods do not count.
    cluster.advance(seconds(400));
  }

  Json at(const std::string& pointer) {
    return cluster.field(kHorizontalPodAutoscalers, "default", "web", pointer);
  }
  Json condition(const std::string& type, const std::string& member) {
    for (const Json& one : at("/status/conditions")) {
      if (one["type"] == type) return one.value(member, Json(nullptr));
    }
    return nullptr;
  }
  int replicas() {
    return cluster.field(kDeployments, "default", "web", "/spec/replicas").get<int>();
  }
  bool has_event(const std::string& text) {
    auto events = cluster.events("HorizontalPodAutoscaler", "web");
    return std::find(events.begin(), events.end(), text) != events.end();
  }

  std::shared_ptr<GivenUsage::Values> usage = std::make_shared<GivenUsage::Values>();
  TestCluster cluster;
};

TEST_F(Autoscalers, ScaleUpByUtilization) {
  usage->cpu_milli = 90;
  cluster.apply(kAutoscaler);
  cluster.settle();
  // 90% of a target of 50% with 2 pods: ceil(1.8 * 2).
  EXPECT_EQ(replicas(), 4);
  EXPECT_EQ(at("/status/currentReplicas"), 2);
  EXPECT_EQ(at("/status/desiredReplicas"), 4);
  EXPECT_EQ(at("/status/currentMetrics/0/resource/current/averageUtilization"), 90);
  EXPECT_EQ(at("/status/currentMetrics/0/resource/current/averageValue"), "90m");
  EXPECT_EQ(condition("AbleToScale", "reason"), "SucceededRescale");
  EXPECT_EQ(condition("ScalingActive", "reason"), "ValidMetricFound");
  EXPECT_EQ(condition("ScalingActive", "message"),
            "the HPA was able to successfully calculate a replica count from cpu resource "
            "utilization (percentage of request)");
  EXPECT_EQ(condition("ScalingLimited", "status"), "False");
  EXPECT_TRUE(has_event(
      "SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) "
      "above target"));
}

TEST_F(Autoscalers, StayWithinTolerance) {
  usage->cpu_milli = 54;
  cluster.apply(kAutoscaler);
  cluster.advance(seconds(60));
  EXPECT_EQ(replicas(), 2);
  EXPECT_EQ(condition("AbleToScale", "reason"), "ReadyForNewScale");
}

TEST_F(Autoscalers, ScaleDownWaitsForTheWindow) {
  usage->cpu_milli = 50;
  cluster.apply(kAutoscaler);
  cluster.advance(seconds(30));
  ASSERT_EQ(replicas(), 2);
  usage->cpu_milli = 10;
  cluster.advance(seconds(30));
  EXPECT_EQ(replicas(), 2);
  EXPECT_EQ(condition("AbleToScale", "reason"), "ScaleDownStabilized");
  cluster.advance(seconds(240));
  EXPECT_EQ(replicas(), 2);
  cluster.advance(seconds(60));
  EXPECT_EQ(replicas(), 1);
  EXPECT_TRUE(has_event("SuccessfulRescale: New size: 1; reason: All metrics below target"));
}

TEST_F(Autoscalers, BoundsHold) {
  usage->cpu_milli = 1000;
  cluster.apply(kAutoscaler);
  cluster.settle();
  EXPECT_EQ(replicas(), 4);  // max(2 x 2, 4)
  EXPECT_EQ(condition("ScalingLimited", "reason"), "ScaleUpLimit");
  cluster.advance(seconds(400));
  EXPECT_EQ(replicas(), 10);
  EXPECT_EQ(condition("ScalingLimited", "reason"), "TooManyReplicas");
  ASSERT_TRUE(
      cluster.patch(kHorizontalPodAutoscalers, "default", "web", {{"spec", {{"maxReplicas", 6}}}}));
  cluster.settle();
  EXPECT_EQ(replicas(), 6);
  EXPECT_TRUE(has_event(
      "SuccessfulRescale: New size: 6; reason: Current number of replicas above Spec.MaxReplicas"));
}

TEST_F(Autoscalers, BehaviourLimitsTheRate) {
  usage->cpu_milli = 1000;
  cluster.apply(kAutoscaler);
  ASSERT_TRUE(cluster.remove(kHorizontalPodAutoscalers, "default", "web"));
  cluster.settle();
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 2));
  cluster.apply(std::string(kAutoscaler) + R"(
  behavior:
    scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}
    scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 1, periodSeconds: 30}]}
)");
  cluster.settle();
  EXPECT_EQ(replicas(), 3);
  EXPECT_EQ(condition("ScalingLimited", "reason"), "ScaleUpLimit");
  cluster.advance(seconds(45));
  EXPECT_EQ(replicas(), 3);
  cluster.advance(seconds(16));
  EXPECT_EQ(replicas(), 4);
  usage->cpu_milli = 50;
  // What was added within the period does not count as there for scaling down.
  cluster.advance(seconds(31));
  usage->cpu_milli = 0;
  cluster.advance(seconds(15));
  EXPECT_EQ(replicas(), 3);
  EXPECT_EQ(condition("ScalingLimited", "reason"), "ScaleDownLimit");
}

TEST_F(Autoscalers, MemoryAverageValue) {
  usage->memory_bytes = 200 << 20;
  cluster.apply(R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 10
  metrics:
  - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 100Mi}}}
)");
  cluster.settle();
  EXPECT_EQ(replicas(), 4);
  EXPECT_EQ(at("/status/currentMetrics/0/resource/current/averageValue"), "209715200");
  EXPECT_TRUE(has_event("SuccessfulRescale: New size: 4; reason: memory resource above target"));
}

TEST_F(Autoscalers, WithoutMetricsNothingMoves) {
  usage->served = false;
  cluster.apply(kAutoscaler);
  cluster.settle();
  EXPECT_EQ(replicas(), 2);
  EXPECT_EQ(condition("ScalingActive", "status"), "False");
  EXPECT_EQ(condition("ScalingActive", "reason"), "FailedGetResourceMetric");
  EXPECT_EQ(condition("ScalingActive", "message"),
            "the HPA was unable to compute the replica count: failed to get cpu utilization: "
            "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics "
            "API: the server could not find the requested resource (get pods.metrics.k8s.io)");
  // It recovers by itself.
  usage->served = true;
  usage->cpu_milli = 90;
  cluster.advance(seconds(16));
  EXPECT_EQ(replicas(), 4);
}

TEST_F(Autoscalers, UnservedMetricBlocksScalingDownOnly) {
  usage->cpu_milli = 90;
  cluster.apply(std::string(kAutoscaler) + R"(
  - type: External
    external: {metric: {name: queue}, target: {type: AverageValue, averageValue: "5"}}
)");
  cluster.settle();
  EXPECT_EQ(replicas(), 4);
  EXPECT_EQ(condition("ScalingActive", "status"), "True");
  usage->cpu_milli = 1;
  cluster.advance(seconds(900));
  EXPECT_EQ(replicas(), 4);
  EXPECT_EQ(condition("ScalingActive", "reason"), "FailedGetExternalMetric");
}

TEST_F(Autoscalers, MissingTargetAndDisabledScaling) {
  cluster.apply(kAutoscaler);
  ASSERT_TRUE(cluster.scale(kDeployments, "default", "web", 0));
  cluster.advance(seconds(16));
  EXPECT_EQ(condition("ScalingActive", "reason"), "ScalingDisabled");
  EXPECT_EQ(replicas(), 0);
  ASSERT_TRUE(cluster.remove(kDeployments, "default", "web"));
  cluster.advance(seconds(16));
  EXPECT_EQ(condition("AbleToScale", "reason"), "FailedGetScale");
  EXPECT_EQ(condition("AbleToScale", "message"),
            "the HPA controller was unable to get the target's current scale: deployments.apps "
            "\"web\" not found");
}

TEST_F(Autoscalers, TwoOverTheSamePodsAreRefused) {
  usage->cpu_milli = 90;
  cluster.apply(kAutoscaler);
  cluster.settle();
  EXPECT_EQ(replicas(), 4);
  std::string second = kAutoscaler;
  second.replace(second.find("{name: web}"), 11, "{name: two}");
  usage->cpu_milli = 50;
  cluster.apply(second);
  cluster.advance(seconds(31));
  EXPECT_EQ(condition("ScalingActive", "reason"), "AmbiguousSelector");
  EXPECT_EQ(replicas(), 4);
}

}  // namespace
}  // namespace moth::test
