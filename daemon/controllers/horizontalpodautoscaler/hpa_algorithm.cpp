#include "daemon/controllers/horizontalpodautoscaler/hpa_algorithm.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace moth::controllers::hpa {

using resources::HpaPolicy;
using resources::HpaRules;

namespace {

constexpr auto kCpuInitialization = std::chrono::seconds(300);
constexpr auto kReadinessDelay = std::chrono::seconds(30);
constexpr auto kDownscaleWindow = std::chrono::seconds(300);

// Keeps whole percentages whole; thousandths of bytes of many pods times 100 need not fit 64 bits.
constexpr double kRounding = 1e-9;

constexpr const char* kWithinRange = "the desired count is within the acceptable range";
constexpr const char* kTooFast =
    "the desired replica count is increasing faster than the maximum scale rate";
constexpr const char* kTooFastDown =
    "the desired replica count is decreasing faster than the maximum scale rate";
constexpr const char* kTooMany = "the desired replica count is more than the maximum replica count";
constexpr const char* kTooFew = "the desired replica count is less than the minimum replica count";

// A pod that starts up burns processor time that says nothing about its load.
bool cpu_unready(const PodFacts& pod, const PodSample& sample, WallTime now) {
  if (!pod.ready || !pod.start_time) return true;
  WallTime transition = pod.ready_transition.value_or(WallTime{});
  if (*pod.start_time + kCpuInitialization > now)
    return !*pod.ready || sample.timestamp < transition + sample.window;
  // Later it counts, unless it has never become ready.
  return !*pod.ready && *pod.start_time + kReadinessDelay > transition;
}

// Usage over target, whatever the two are.
struct Ratio {
  double value = 0;
  std::int32_t utilization = 0;
  std::int64_t average = 0;
};
using Measure = std::function<Result<Ratio>(const Samples&)>;
// What a pod without a sample is taken to use when the count is to shrink.
using Fallback = std::function<std::int64_t(const std::string& pod)>;

Result<Proposal> propose(const UsageInputs& in, const Measure& measure, const Fallback& fallback) {
  if (in.pods.empty()) {
    return fail(Error::of(Reason::kInternalError,
                          "no pods returned by selector while calculating replica count"));
  }
  Samples samples = in.samples;
  PodGroups groups = group_pods(in.pods, samples, in.cpu, in.now);
  for (const std::string& name : groups.ignored) samples.erase(name);
  for (const std::string& name : groups.unready) samples.erase(name);
  if (samples.empty()) {
    return fail(Error::of(Reason::kInternalError,
                          "did not receive metrics for targeted pods (pods might be unready)"));
  }
  MOTH_ASSIGN(Ratio first, measure(samples));
  Proposal proposal{in.current, first.utilization, first.average};
  bool guess_unready = !groups.unready.empty() && first.value > 1.0;
  if (!guess_unready && groups.missing.empty()) {
    if (!in.tolerances.within(first.value))
      proposal.replicas = static_cast<std::int32_t>(std::ceil(first.value * groups.ready));
    return proposal;
  }
  // Guesses speak against the change: what is not known idles on the way up and is busy on the way
  // down.
  for (const std::string& name : groups.missing) {
    if (first.value < 1.0) samples[name].value = fallback(name);
    if (first.value > 1.0) samples[name].value = 0;
  }
  if (guess_unready) {
    for (const std::string& name : groups.unready) samples[name].value = 0;
  }
  MOTH_ASSIGN(Ratio second, measure(samples));
  bool flips =
      (first.value < 1.0 && second.value > 1.0) || (first.value > 1.0 && second.value < 1.0);
  if (in.tolerances.within(second.value) || flips) return proposal;
  auto wanted =
      static_cast<std::int32_t>(std::ceil(second.value * static_cast<double>(samples.size())));
  bool against =
      (second.value < 1.0 && wanted > in.current) || (second.value > 1.0 && wanted < in.current);
  if (!against) proposal.replicas = wanted;
  return proposal;
}

}  // namespace

PodGroups group_pods(const std::vector<PodFacts>& pods, const Samples& samples, bool cpu,
                     WallTime now) {
  PodGroups groups;
  for (const PodFacts& pod : pods) {
    auto sample = samples.find(pod.name);
    if (pod.deleting || pod.failed) {
      groups.ignored.push_back(pod.name);
    } else if (pod.pending) {
      groups.unready.push_back(pod.name);
    } else if (sample == samples.end()) {
      groups.missing.push_back(pod.name);
    } else if (cpu && cpu_unready(pod, sample->second, now)) {
      groups.unready.push_back(pod.name);
    } else {
      ++groups.ready;
    }
  }
  return groups;
}

Result<Proposal> by_utilization(const UsageInputs& in, const Requests& requests,
                                std::int32_t target_percent) {
  target_percent = std::max(target_percent, 1);
  auto measure = [&](const Samples& samples) -> Result<Ratio> {
    std::int64_t used = 0, requested = 0, count = 0;
    for (const auto& [pod, sample] : samples) {
      auto request = requests.find(pod);
      if (request == requests.end()) continue;
      used += sample.value;
      requested += request->second;
      ++count;
    }
    if (requested == 0) {
      return fail(Error::of(Reason::kInternalError, "no metrics returned matched known pods"));
    }
    auto percent = static_cast<std::int32_t>(std::min(
        static_cast<double>(used) / static_cast<double>(requested) * 100 + kRounding, 1e9));
    return Ratio{static_cast<double>(percent) / target_percent, percent, used / count};
  };
  auto fallback = [&](const std::string& pod) {
    auto request = requests.find(pod);
    std::int64_t amount = request == requests.end() ? 0 : request->second;
    return amount * std::max(100, target_percent) / 100;
  };
  return propose(in, measure, fallback);
}

Result<Proposal> by_average(const UsageInputs& in, std::int64_t target) {
  target = std::max<std::int64_t>(target, 1);
  auto measure = [target](const Samples& samples) -> Result<Ratio> {
    std::int64_t used = 0;
    for (const auto& [pod, sample] : samples) used += sample.value;
    std::int64_t average = used / static_cast<std::int64_t>(samples.size());
    return Ratio{static_cast<double>(average) / static_cast<double>(target), 0, average};
  };
  return propose(in, measure, [target](const std::string&) { return target; });
}

void History::begin(std::int32_t current, WallTime now) {
  if (recommendations_.empty()) recommendations_.push_back({current, now});
}

std::int32_t History::stabilize(std::int32_t desired, WallTime now) {
  std::erase_if(recommendations_,
                [&](const auto& one) { return one.when < now - kDownscaleWindow; });
  std::int32_t highest = desired;
  for (const auto& one : recommendations_) highest = std::max(highest, one.replicas);
  recommendations_.push_back({desired, now});
  return highest;
}

History::Verdict History::stabilize(std::int32_t desired, std::int32_t current, const HpaRules& up,
                                    const HpaRules& down, WallTime now) {
  std::chrono::seconds up_window = up.window.value_or(std::chrono::seconds(0));
  std::chrono::seconds down_window = down.window.value_or(kDownscaleWindow);
  std::int32_t lowest = desired, highest = desired;
  for (const auto& one : recommendations_) {
    if (one.when > now - up_window) lowest = std::min(lowest, one.replicas);
    if (one.when > now - down_window) highest = std::max(highest, one.replicas);
  }
  WallTime oldest =
      now - std::max({up_window, down_window, std::chrono::seconds(kDownscaleWindow)});
  std::erase_if(recommendations_, [&](const auto& one) { return one.when < oldest; });
  recommendations_.push_back({desired, now});
  // Both bounds may contradict each other; the upper one wins, as upstream.
  std::int32_t steady = std::min(std::max(current, lowest), highest);
  if (desired >= current) {
    return {steady, "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent "
            "recommendation"};
  }
  return {steady, "ScaleDownStabilized",
          "recent recommendations were higher than current one, applying the highest recent "
          "recommendation"};
}

std::int32_t History::changed_within(const std::vector<Change>& changes,
                                     std::chrono::seconds period, WallTime now) {
  std::int32_t sum = 0;
  for (const Change& change : changes) {
    if (change.when > now - period) sum += change.count;
  }
  return sum;
}

std::int32_t History::up_limit(std::int32_t current, const HpaRules& rules, WallTime now) const {
  if (rules.select == HpaRules::Select::kDisabled) return current;
  bool smallest = rules.select == HpaRules::Select::kMin;
  std::int64_t result = smallest ? std::numeric_limits<std::int32_t>::max()
                                 : std::numeric_limits<std::int32_t>::min();
  for (const HpaPolicy& policy : rules.policies) {
    std::int64_t start = std::int64_t{current} - changed_within(ups_, policy.period, now) +
                         changed_within(downs_, policy.period, now);
    std::int64_t proposed =
        policy.percent ? static_cast<std::int64_t>(
                             std::ceil(static_cast<double>(start) * (1 + policy.value / 100.0)))
                       : start + policy.value;
    result = smallest ? std::min(result, proposed) : std::max(result, proposed);
  }
  return static_cast<std::int32_t>(
      std::min<std::int64_t>(result, std::numeric_limits<std::int32_t>::max()));
}

std::int32_t History::down_limit(std::int32_t current, const HpaRules& rules, WallTime now) const {
  if (rules.select == HpaRules::Select::kDisabled) return current;
  // The smallest change leaves the most replicas.
  bool smallest = rules.select == HpaRules::Select::kMin;
  std::int64_t result = smallest ? std::numeric_limits<std::int32_t>::min()
                                 : std::numeric_limits<std::int32_t>::max();
  for (const HpaPolicy& policy : rules.policies) {
    std::int64_t start = std::int64_t{current} - changed_within(ups_, policy.period, now) +
                         changed_within(downs_, policy.period, now);
    std::int64_t proposed =
        policy.percent
            ? static_cast<std::int64_t>(static_cast<double>(start) * (1 - policy.value / 100.0))
            : start - policy.value;
    result = smallest ? std::max(result, proposed) : std::min(result, proposed);
  }
  return static_cast<std::int32_t>(
      std::max<std::int64_t>(result, std::numeric_limits<std::int32_t>::min()));
}

History::Verdict History::limit(std::int32_t desired, const Limits& limits, const HpaRules& up,
                                const HpaRules& down, WallTime now) const {
  if (desired > limits.current) {
    std::int32_t rate = std::max(limits.current, up_limit(limits.current, up, now));
    bool rate_holds = limits.max > rate;
    std::int32_t bound = rate_holds ? rate : limits.max;
    if (desired > bound && rate_holds) return {bound, "ScaleUpLimit", kTooFast};
    if (desired > bound) return {bound, "TooManyReplicas", kTooMany};
  } else if (desired < limits.current) {
    std::int32_t rate = std::min(limits.current, down_limit(limits.current, down, now));
    bool rate_holds = limits.min < rate;
    std::int32_t bound = rate_holds ? rate : limits.min;
    if (desired < bound && rate_holds) return {bound, "ScaleDownLimit", kTooFastDown};
    if (desired < bound) return {bound, "TooFewReplicas", kTooFew};
  }
  return {desired, "DesiredWithinRange", kWithinRange};
}

void History::scaled(std::int32_t from, std::int32_t to, const HpaRules& up, const HpaRules& down,
                     WallTime now) {
  auto note = [now](std::vector<Change>& changes, const HpaRules& rules, std::int32_t count) {
    std::chrono::seconds longest{0};
    for (const HpaPolicy& policy : rules.policies) longest = std::max(longest, policy.period);
    std::erase_if(changes, [&](const Change& change) { return change.when < now - longest; });
    changes.push_back({count, now});
  };
  if (to > from) note(ups_, up, to - from);
  if (to < from) note(downs_, down, from - to);
}

History::Verdict limit_plainly(std::int32_t desired, const History::Limits& limits) {
  std::int32_t rate = std::max(2 * limits.current, 4);
  bool rate_holds = limits.max > rate;
  std::int32_t bound = rate_holds ? rate : limits.max;
  if (desired < limits.min) return {limits.min, "TooFewReplicas", kTooFew};
  if (desired > bound && rate_holds) return {bound, "ScaleUpLimit", kTooFast};
  if (desired > bound) return {bound, "TooManyReplicas", kTooMany};
  return {desired, "DesiredWithinRange", kWithinRange};
}

}  // namespace moth::controllers::hpa
