#include "daemon/controllers/horizontalpodautoscaler/hpa_algorithm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace moth::controllers::hpa {
namespace {

using resources::HpaRules;
using std::chrono::seconds;

const WallTime kNow = WallTime(seconds(1'750'000'000));

// A pod that started long ago and is ready, unless told otherwise; value -1: no sample.
struct PodRow {
  std::int64_t value = 0;
  std::int64_t request = 1000;
  bool pending = false, deleting = false, failed = false;
  bool ready = true;
  int started = 3600, transition = 3500, sampled = 0;  // seconds ago
};

struct Scenario {
  UsageInputs inputs;
  Requests requests;
};

Scenario make(std::int32_t current, const std::vector<PodRow>& rows, bool cpu = true) {
  Scenario out;
  out.inputs.current = current;
  out.inputs.cpu = cpu;
  out.inputs.now = kNow;
  for (const PodRow& row : rows) {
    PodFacts pod;
    pod.name = fmt::format("pod-{}", out.inputs.pods.size());
    pod.pending = row.pending;
    pod.deleting = row.deleting;
    pod.failed = row.failed;
    pod.ready = row.ready;
    pod.start_time = kNow - seconds(row.started);
    pod.ready_transition = kNow - seconds(row.transition);
    if (row.value >= 0) {
      out.inputs.samples[pod.name] = {row.value, kNow - seconds(row.sampled), seconds(30)};
    }
    out.requests[pod.name] = row.request;
    out.inputs.pods.push_back(std::move(pod));
  }
  return out;
}

PodRow uses(std::int64_t value) {
  return {.value = value};
}
PodRow missing() {
  return {.value = -1};
}
// Started a minute ago and not ready yet.
PodRow starting(std::int64_t value) {
  return {.value = value, .ready = false, .started = 60, .transition = 60};
}

struct UtilizationCase {
  const char* what;
  std::int32_t target, current;
  std::vector<PodRow> pods;
  std::int32_t expected, utilization;
};

// Of upstream's own table (replica_calculator_test), in these words.
TEST(ByUtilization, Table) {
  const std::vector<UtilizationCase> cases = {
      {"up", 30, 3, {uses(300), uses(500), uses(700)}, 5, 50},
      {"down", 50, 5, {uses(100), uses(300), uses(500), uses(250), uses(250)}, 3, 28},
      {"within tolerance", 50, 3, {uses(500), uses(510), uses(530)}, 3, 51},
      {"unready pods dampen going up", 30, 3, {starting(300), uses(500), uses(700)}, 4, 60},
      {"hot unready pods do not count",
       30,
       4,
       {starting(400), uses(500), uses(700), starting(0)},
       4,
       60},
      {"unready pods do not hold back going down",
       100,
       4,
       {uses(100), uses(300), uses(500), starting(700)},
       1,
       30},
      {"missing pods count as idle going up",
       50,
       4,
       {missing(), uses(950), uses(950), uses(950)},
       6,
       95},
      {"missing pods count as busy going down",
       50,
       5,
       {missing(), uses(100), uses(100), uses(100), uses(100)},
       3,
       10},
      {"missing pods hold the direction", 50, 2, {missing(), uses(600)}, 2, 60},
      {"deleting and failed pods do not exist",
       50,
       4,
       {uses(1000), uses(1000), {.value = 9000, .deleting = true}, {.value = 9000, .failed = true}},
       4,
       100},
      {"pending pods are unready",
       50,
       3,
       {uses(1000), uses(1000), {.value = -1, .pending = true}},
       4,
       100},
      {"above 100%", 200, 2, {uses(4000), uses(4000)}, 4, 400},
      {"missing with a target above 100%", 300, 3, {missing(), uses(1000), uses(1000)}, 2, 100},
  };
  for (const UtilizationCase& one : cases) {
    Scenario setup = make(one.current, one.pods);
    auto proposal = by_utilization(setup.inputs, setup.requests, one.target);
    ASSERT_TRUE(proposal) << one.what << ": " << proposal.error().message;
    EXPECT_EQ(proposal->replicas, one.expected) << one.what;
    EXPECT_EQ(proposal->utilization, one.utilization) << one.what;
  }
}

TEST(ByUtilization, Errors) {
  Scenario none = make(3, {});
  EXPECT_EQ(by_utilization(none.inputs, none.requests, 50).error().message,
            "no pods returned by selector while calculating replica count");
  Scenario unready = make(2, {starting(100), {.value = -1, .pending = true}});
  EXPECT_EQ(by_utilization(unready.inputs, unready.requests, 50).error().message,
            "did not receive metrics for targeted pods (pods might be unready)");
  Scenario free = make(1, {{.value = 100, .request = 0}});
  EXPECT_EQ(by_utilization(free.inputs, free.requests, 50).error().message,
            "no metrics returned matched known pods");
}

TEST(ByUtilization, TolerancePerDirection) {
  Scenario setup = make(10, std::vector<PodRow>(10, uses(530)));
  setup.inputs.tolerances = {0.05, 0.1};
  EXPECT_EQ(by_utilization(setup.inputs, setup.requests, 50)->replicas, 11);
  setup = make(10, std::vector<PodRow>(10, uses(460)));
  setup.inputs.tolerances = {0.05, 0.1};
  EXPECT_EQ(by_utilization(setup.inputs, setup.requests, 50)->replicas, 10);
}

TEST(ByAverage, Table) {
  Scenario setup = make(3, {uses(20'000), uses(10'000), uses(20'000)}, false);
  EXPECT_EQ(by_average(setup.inputs, 10'000)->replicas, 5);
  EXPECT_EQ(by_average(setup.inputs, 10'000)->average, 16'666);
  EXPECT_EQ(by_average(setup.inputs, 16'000)->replicas, 3);
  EXPECT_EQ(by_average(setup.inputs, 50'000)->replicas, 1);
  // Memory counts from the start, ready or not.
  setup = make(2, {starting(30'000), uses(10'000)}, false);
  EXPECT_EQ(by_average(setup.inputs, 10'000)->replicas, 4);
}

TEST(GroupPods, CpuOfStartingPods) {
  struct Case {
    const char* what;
    PodRow row;
    bool ready;
  };
  const std::vector<Case> cases = {
      {"sample covers the time since it is ready",
       {.value = 1, .started = 100, .transition = 60, .sampled = 20},
       true},
      {"sample began before it was ready",
       {.value = 1, .started = 100, .transition = 60, .sampled = 40},
       false},
      {"not ready, within 300 s",
       {.value = 1, .ready = false, .started = 299, .transition = 200},
       false},
      {"was ready once", {.value = 1, .ready = false, .started = 400, .transition = 100}, true},
      {"never became ready",
       {.value = 1, .ready = false, .started = 400, .transition = 390},
       false},
  };
  for (const Case& one : cases) {
    Scenario setup = make(1, {one.row});
    PodGroups groups = group_pods(setup.inputs.pods, setup.inputs.samples, true, kNow);
    EXPECT_EQ(groups.ready, one.ready ? 1 : 0) << one.what;
    EXPECT_EQ(groups.unready.size(), one.ready ? 0u : 1u) << one.what;
    EXPECT_EQ(group_pods(setup.inputs.pods, setup.inputs.samples, false, kNow).ready, 1)
        << one.what;
  }
}

TEST(LimitPlainly, Table) {
  struct Case {
    std::int32_t desired, min, max, current, expected;
    const char* reason;
  };
  const Case cases[] = {
      {7, 1, 10, 5, 7, "DesiredWithinRange"}, {0, 2, 10, 3, 2, "TooFewReplicas"},
      {20, 1, 8, 5, 8, "TooManyReplicas"},    {20, 1, 30, 5, 10, "ScaleUpLimit"},
      {20, 1, 30, 1, 4, "ScaleUpLimit"},      {10, 1, 10, 5, 10, "DesiredWithinRange"},
  };
  for (const Case& one : cases) {
    auto verdict = limit_plainly(one.desired, {one.min, one.max, one.current});
    EXPECT_EQ(verdict.replicas, one.expected);
    EXPECT_EQ(verdict.reason, one.reason);
  }
}

TEST(HistoryTest, HighestOfTheLastFiveMinutes) {
  History history;
  history.begin(5, kNow);
  EXPECT_EQ(history.stabilize(3, kNow + seconds(15)), 5);
  EXPECT_EQ(history.stabilize(4, kNow + seconds(30)), 5);
  EXPECT_EQ(history.stabilize(8, kNow + seconds(45)), 8);
  EXPECT_EQ(history.stabilize(2, kNow + seconds(300)), 8);
  EXPECT_EQ(history.stabilize(2, kNow + seconds(346)), 2);
}

TEST(HistoryTest, BothWindowsWithBehaviour) {
  HpaRules up, down;
  up.window = seconds(60);
  down.window = seconds(120);
  History history;
  history.begin(5, kNow);
  // A peak does not count before it has lasted 60 s.
  auto verdict = history.stabilize(10, 5, up, down, kNow + seconds(30));
  EXPECT_EQ(verdict.replicas, 5);
  EXPECT_EQ(verdict.reason, "ScaleUpStabilized");
  EXPECT_EQ(history.stabilize(9, 5, up, down, kNow + seconds(61)).replicas, 9);
  // Nor a dip before 120 s.
  verdict = history.stabilize(2, 9, up, down, kNow + seconds(100));
  EXPECT_EQ(verdict.replicas, 9);
  EXPECT_EQ(verdict.reason, "ScaleDownStabilized");
  EXPECT_EQ(history.stabilize(3, 9, up, down, kNow + seconds(190)).replicas, 3);
}

HpaRules rules_of(std::vector<resources::HpaPolicy> policies,
                  HpaRules::Select select = HpaRules::Select::kMax) {
  HpaRules rules;
  rules.policies = std::move(policies);
  rules.select = select;
  return rules;
}

TEST(HistoryTest, RatesUp) {
  HpaRules down = rules_of({{true, 100, seconds(15)}});
  auto limit = [&](const HpaRules& up, std::int32_t current) {
    return History().limit(1000, {1, 1000, current}, up, down, kNow);
  };
  HpaRules both = rules_of({{false, 4, seconds(15)}, {true, 100, seconds(15)}});
  EXPECT_EQ(limit(both, 2).replicas, 6);
  EXPECT_EQ(limit(both, 10).replicas, 20);
  EXPECT_EQ(limit(both, 10).reason, "ScaleUpLimit");
  both.select = HpaRules::Select::kMin;
  EXPECT_EQ(limit(both, 2).replicas, 4);
  EXPECT_EQ(limit(both, 10).replicas, 14);
  both.select = HpaRules::Select::kDisabled;
  EXPECT_EQ(limit(both, 10).replicas, 10);
  // Rounded up, so that 10% of 3 is one.
  EXPECT_EQ(limit(rules_of({{true, 10, seconds(15)}}), 3).replicas, 4);
  EXPECT_EQ(
      History().limit(9, {1, 8, 5}, both = rules_of({{false, 100, seconds(1)}}), down, kNow).reason,
      "TooManyReplicas");
}

TEST(HistoryTest, RatesDown) {
  HpaRules up = rules_of({{true, 100, seconds(15)}});
  auto limit = [&](const HpaRules& down, std::int32_t current) {
    return History().limit(0, {1, 1000, current}, up, down, kNow);
  };
  HpaRules both = rules_of({{false, 4, seconds(60)}, {true, 10, seconds(60)}});
  EXPECT_EQ(limit(both, 80).replicas, 72);
  EXPECT_EQ(limit(both, 10).replicas, 6);
  EXPECT_EQ(limit(both, 10).reason, "ScaleDownLimit");
  both.select = HpaRules::Select::kMin;
  EXPECT_EQ(limit(both, 80).replicas, 76);
  both.select = HpaRules::Select::kDisabled;
  EXPECT_EQ(limit(both, 80).replicas, 80);
  auto free = limit(rules_of({{true, 100, seconds(15)}}), 5);
  EXPECT_EQ(free.replicas, 1);
  EXPECT_EQ(free.reason, "TooFewReplicas");
}

TEST(HistoryTest, RatesCountWhatHappenedWithinThePeriod) {
  HpaRules up = rules_of({{false, 4, seconds(60)}}), down = rules_of({{false, 2, seconds(60)}});
  History history;
  history.scaled(10, 13, up, down, kNow);
  auto limit = [&](std::int32_t desired, int later) {
    return history.limit(desired, {1, 100, 13}, up, down, kNow + seconds(later)).replicas;
  };
  EXPECT_EQ(limit(50, 30), 14);
  EXPECT_EQ(limit(50, 60), 17);
  // What was just added is taken off first when counting down.
  EXPECT_EQ(limit(1, 30), 8);
  EXPECT_EQ(limit(1, 60), 11);
  history.scaled(13, 12, up, down, kNow + seconds(61));
  EXPECT_EQ(history.limit(1, {1, 100, 12}, up, down, kNow + seconds(62)).replicas, 11);
}

}  // namespace
}  // namespace moth::controllers::hpa
