#pragma once
// How many replicas a metric asks for, and how recommendations are steadied and bounded
// (k8s-behaviours 14). Values and pure functions, any thread. Amounts are thousandths (millicores,
// thousandths of bytes).
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/resources/autoscaling_v2/hpa_view.h"

namespace moth::controllers::hpa {

// One pod that the target's selector matches.
struct PodFacts {
  std::string name;
  bool deleting = false, failed = false, pending = false;
  std::optional<bool> ready;  // absent: no Ready condition
  std::optional<WallTime> ready_transition, start_time;
};

struct PodSample {
  std::int64_t value = 0;
  WallTime timestamp;
  Duration window{};
};
using Samples = std::map<std::string, PodSample>;      // by pod name
using Requests = std::map<std::string, std::int64_t>;  // by pod name

// Relative deviations of usage from target that change nothing.
struct Tolerances {
  double up = 0.1, down = 0.1;
  bool within(double ratio) const { return ratio >= 1.0 - down && ratio <= 1.0 + up; }
};

// How pods count: only ready ones at first, unready and missing ones as guesses.
struct PodGroups {
  int ready = 0;
  std::vector<std::string> unready, missing, ignored;
};
// `cpu`: pods that are starting up do not count with what they use.
PodGroups group_pods(const std::vector<PodFacts>& pods, const Samples& samples, bool cpu,
                     WallTime now);

struct Proposal {
  std::int32_t replicas = 0;
  std::int32_t utilization = 0;  // percent; for utilization targets
  std::int64_t average = 0;      // usage per pod
};

struct UsageInputs {
  std::int32_t current = 0;  // replicas now
  std::vector<PodFacts> pods;
  Samples samples;
  bool cpu = false;
  Tolerances tolerances;
  WallTime now;
};

// For a target in percent of the requests. The messages of errors are upstream's.
Result<Proposal> by_utilization(const UsageInputs& inputs, const Requests& requests,
                                std::int32_t target_percent);
// For a target per pod.
Result<Proposal> by_average(const UsageInputs& inputs, std::int64_t target);

// What happened before, kept in memory per autoscaler.
class History {
 public:
  struct Limits {
    std::int32_t min = 1, max = 1, current = 0;
  };
  // What became of a desired count: a bound that held, or why not.
  struct Verdict {
    std::int32_t replicas = 0;
    std::string reason, message;
  };

  // The first recommendation is what there is, so that a restart scales nothing down at once.
  void begin(std::int32_t current, WallTime now);

  // Without spec.behavior: the highest recommendation of the last 300 s.
  std::int32_t stabilize(std::int32_t desired, WallTime now);
  // With it: both windows hold. `verdict.reason` is for when the result differs from `desired`.
  Verdict stabilize(std::int32_t desired, std::int32_t current, const resources::HpaRules& up,
                    const resources::HpaRules& down, WallTime now);

  // Bounds the steadied count by min, max and the rates of the rules.
  Verdict limit(std::int32_t desired, const Limits& limits, const resources::HpaRules& up,
                const resources::HpaRules& down, WallTime now) const;

  // After a scaling, with spec.behavior.
  void scaled(std::int32_t from, std::int32_t to, const resources::HpaRules& up,
              const resources::HpaRules& down, WallTime now);

 private:
  struct Recommendation {
    std::int32_t replicas;
    WallTime when;
  };
  struct Change {
    std::int32_t count;
    WallTime when;
  };
  static std::int32_t changed_within(const std::vector<Change>& changes,
                                     std::chrono::seconds period, WallTime now);
  std::int32_t up_limit(std::int32_t current, const resources::HpaRules& rules, WallTime now) const;
  std::int32_t down_limit(std::int32_t current, const resources::HpaRules& rules,
                          WallTime now) const;

  std::vector<Recommendation> recommendations_;
  std::vector<Change> ups_, downs_;
};

// Without spec.behavior: min, max and at most max(2 x current, 4).
History::Verdict limit_plainly(std::int32_t desired, const History::Limits& limits);

}  // namespace moth::controllers::hpa
