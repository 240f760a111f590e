// Views of what the workload, batch and policy controllers act upon.
#include <gtest/gtest.h>

#include "api/machinery/time.h"
#include "api/machinery/yaml.h"
#include "api/resources/apps_v1/daemon_set_view.h"
#include "api/resources/apps_v1/stateful_set_view.h"
#include "api/resources/batch_v1/cron_job_view.h"
#include "api/resources/batch_v1/job_view.h"
#include "api/resources/core_v1/limit_range_view.h"
#include "api/resources/core_v1/resource_quota_view.h"
#include "api/resources/policy_v1/pod_disruption_budget_view.h"
#include "tests/unit/api/resources/golden.h"

namespace moth::resources::testing {
namespace {

using std::chrono::seconds;

ObjectPtr object_of_yaml(const char* yaml) {
  auto parsed = parse_yaml(yaml);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return Object::from_json(defaulted(*parsed));
}

TEST(StatefulSetViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  replicas: 3
  ordinals: {start: 5}
  serviceName: web
  podManagementPolicy: Parallel
  updateStrategy: {rollingUpdate: {partition: 2}}
  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}
  minReadySeconds: 4
  selector: {matchLabels: {a: b}}
  template: {spec: {containers: []}}
status: {replicas: 3, readyReplicas: 2, currentRevision: s-1, updateRevision: s-2, availableReplicas: 1, collisionCount: 1}
)");
  StatefulSetView view(*object);
  EXPECT_EQ(view.replicas, 3);
  EXPECT_EQ(view.first_ordinal, 5);
  EXPECT_EQ(view.service_name, "web");
  EXPECT_TRUE(view.parallel);
  EXPECT_FALSE(view.on_delete);
  EXPECT_EQ(view.partition, 2);
  EXPECT_EQ(view.min_ready, seconds(4));
  EXPECT_FALSE(view.delete_claims_with_set);
  EXPECT_TRUE(view.delete_claims_on_scale_down);
  EXPECT_TRUE(view.selector.matches({{"a", "b"}}));
  EXPECT_EQ(view.status.current_revision, "s-1");
  EXPECT_EQ(view.status.ready, 2);
  EXPECT_EQ(view.status.collision_count, 1);
}

TEST(DaemonSetViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 25%}}, selector: {}, template: {spec: {containers: []}}}
status: {desiredNumberScheduled: 4, currentNumberScheduled: 0, numberReady: 0, numberMisscheduled: 1}
)");
  DaemonSetView view(*object);
  EXPECT_EQ(view.max_unavailable, IntOrString::of("25%"));
  EXPECT_EQ(view.max_surge, IntOrString::of(0));
  EXPECT_EQ(view.status.desired, 4);
  EXPECT_EQ(view.status.misscheduled, 1);
}

TEST(JobViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  completions: 5
  completionMode: Indexed
  backoffLimitPerIndex: 1
  ttlSecondsAfterFinished: 0
  podFailurePolicy:
    rules:
    - {action: FailJob, onExitCodes: {containerName: a, operator: NotIn, values: [0, 3]}}
    - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
  successPolicy: {rules: [{succeededIndexes: "0-2"}]}
  template: {spec: {restartPolicy: Never, containers: []}}
status:
  succeeded: 2
  completedIndexes: 0-1
  startTime: "2025-06-15T12:00:00Z"
  uncountedTerminatedPods: {failed: [u1]}
  conditions: [{type: Failed, status: "True", reason: BackoffLimitExceeded}]
)");
  JobView view(*object);
  EXPECT_EQ(view.parallelism, 1);
  EXPECT_EQ(view.completions, 5);
  EXPECT_TRUE(view.indexed);
  EXPECT_EQ(view.backoff_limit, 2147483647);
  EXPECT_EQ(view.ttl_after_finished, seconds(0));
  EXPECT_TRUE(view.replace_only_failed);
  EXPECT_FALSE(view.restart_on_failure);
  ASSERT_EQ(view.failure_rules.size(), 2U);
  EXPECT_EQ(view.failure_rules[0].action, PodFailureRule::Action::kFailJob);
  EXPECT_TRUE(view.failure_rules[0].not_in);
  EXPECT_EQ(view.failure_rules[0].codes, (std::vector<std::int32_t>{0, 3}));
  EXPECT_FALSE(view.failure_rules[1].on_exit_codes);
  EXPECT_EQ(view.failure_rules[1].conditions.at(0).type, "DisruptionTarget");
  ASSERT_EQ(view.success_rules.size(), 1U);
  EXPECT_EQ(view.success_rules[0].indexes, "0-2");
  EXPECT_FALSE(view.success_rules[0].count);
  EXPECT_EQ(view.status.uncounted_failed, std::vector<std::string>{"u1"});
  EXPECT_EQ(view.status.start, parse_rfc3339("2025-06-15T12:00:00Z").value());
  EXPECT_TRUE(view.is_finished());
}

TEST(CronJobViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec: {schedule: "@daily", concurrencyPolicy: Replace, startingDeadlineSeconds: 10, jobTemplate: {spec: {template: {spec: {containers: []}}}}}
status: {active: [{name: c-1, uid: u}], lastScheduleTime: "2025-06-15T12:00:00Z"}
)");
  CronJobView view(*object);
  EXPECT_EQ(view.schedule, "@daily");
  EXPECT_FALSE(view.time_zone);
  EXPECT_EQ(view.concurrency, CronJobView::Concurrency::kReplace);
  EXPECT_EQ(view.starting_deadline, seconds(10));
  EXPECT_EQ(view.status.active.at(0).uid, "u");
  EXPECT_EQ(view.status.last_schedule, parse_rfc3339("2025-06-15T12:00:00Z").value());
}

TEST(PolicyViewsTest, Read) {
  ObjectPtr budget = object_of_yaml(R"(
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: p}
spec: {maxUnavailable: 1, selector: {}, unhealthyPodEvictionPolicy: AlwaysAllow}
status: {disruptionsAllowed: 1, disruptedPods: {a: "2025-06-15T12:00:00Z"}}
)");
  PodDisruptionBudgetView pdb(*budget);
  EXPECT_FALSE(pdb.min_available);
  EXPECT_EQ(pdb.max_unavailable, IntOrString::of(1));
  EXPECT_TRUE(pdb.selector.matches_everything());
  EXPECT_TRUE(pdb.always_allow_unhealthy);
  EXPECT_EQ(pdb.status.disrupted.size(), 1U);

  ObjectPtr limits = object_of_yaml(R"(
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec: {limits: [{type: Container, max: {cpu: 2}}, {type: PersistentVolumeClaim, min: {storage: 1Gi}}]}
)");
  LimitRangeView range(*limits);
  ASSERT_EQ(range.limits.size(), 2U);
  EXPECT_EQ(amount(range.limits[0].default_request, "cpu").value(), 2);
  EXPECT_EQ(range.limits[1].type, LimitItem::Type::kClaim);

  ObjectPtr bounds = object_of_yaml(R"(
apiVersion: v1
kind: ResourceQuota
metadata: {name: q}
spec: {hard: {pods: 3}, scopes: [Terminating], scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}}
status: {used: {pods: 1}}
)");
  ResourceQuotaView quota(*bounds);
  EXPECT_EQ(amount(quota.hard, "pods").value(), 3);
  EXPECT_EQ(amount(quota.used, "pods").value(), 1);
  ASSERT_EQ(quota.scopes.size(), 2U);
  EXPECT_EQ(quota.scopes[0].op, SelectorOperator::kExists);
  EXPECT_EQ(quota.scopes[1].values, std::vector<std::string>{"high"});
}

}  // namespace
}  // namespace moth::resources::testing
