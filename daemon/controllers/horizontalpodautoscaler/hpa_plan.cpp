#include "daemon/controllers/horizontalpodautoscaler/hpa_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/time.h"
#include "api/resources/edit.h"
#include "daemon/controllers/horizontalpodautoscaler/hpa_metrics.h"

namespace moth::controllers::hpa {

using resources::HpaMetric;
using resources::HpaView;

namespace {

void note(Decision& decision, std::string type, bool status, std::string reason,
          std::string message) {
  decision.conditions.push_back({std::move(type), status ? "True" : "False", std::move(reason),
                                 std::move(message), std::nullopt});
}

// False, with what is wrong noted, when the scale's selector is of no use.
bool check_selector(const AutoscaleInputs& in, Decision& decision) {
  std::string reason, message, condition;
  if (in.scale.selector.empty()) {
    decision.warnings.push_back({"SelectorRequired", "selector is required"});
    note(decision, "ScalingActive", false, "InvalidSelector",
         "the HPA target's scale is missing a selector");
    decision.error = "selector is required";
    return false;
  }
  if (!in.selector_error.empty()) {
    reason = "InvalidSelector";
    message = "couldn't convert selector into a corresponding internal selector object: " +
              in.selector_error;
  } else if (in.claimants.size() > 1) {
    reason = "AmbiguousSelector";
    message = fmt::format("pods by selector {} are controlled by multiple HPAs: [{}]",
                          in.scale.selector, resources::join(in.claimants, " "));
  } else {
    return true;
  }
  decision.warnings.push_back({reason, message});
  note(decision, "ScalingActive", false, reason, message);
  decision.error = message;
  return false;
}

struct Wanted {
  std::int32_t replicas = 0;
  std::string metric;
};

// The largest proposal of all metrics. Nothing when none can be had, or when one that fails might
// have spoken against scaling down.
std::optional<Wanted> evaluate_metrics(const AutoscaleInputs& in, Decision& decision) {
  if (!check_selector(in, decision)) return std::nullopt;
  const auto& metrics = in.autoscaler->view<HpaView>().metrics;
  Wanted wanted;
  std::optional<MetricFailure> first_failure;
  std::size_t failures = 0;
  for (const HpaMetric& metric : metrics) {
    auto reading = evaluate(metric, in);
    if (!reading) {
      MetricFailure& failure = reading.error();
      decision.warnings.push_back({failure.reason, failure.message});
      // Entries of status and spec belong together by their index.
      decision.metrics.push_back({{"type", ""}});
      if (++failures == 1) first_failure = std::move(failure);
      continue;
    }
    decision.metrics.push_back(std::move(reading->status));
    if (wanted.replicas == 0 || reading->replicas > wanted.replicas) {
      wanted = {reading->replicas, reading->name};
    }
  }
  if (first_failure) {
    decision.error = fmt::format("invalid metrics ({} invalid out of {}), first error is: {}",
                                 failures, metrics.size(), first_failure->error);
  }
  if (failures >= metrics.size() || (failures > 0 && wanted.replicas < in.scale.spec_replicas)) {
    if (first_failure) {
      note(decision, "ScalingActive", false, first_failure->reason,
           "the HPA was unable to compute the replica count: " + first_failure->message);
    }
    return std::nullopt;
  }
  note(decision, "ScalingActive", true, "ValidMetricFound",
       "the HPA was able to successfully calculate a replica count from " + wanted.metric);
  return wanted;
}

// What the windows and bounds leave of `desired`.
std::int32_t steady(const HpaView& view, std::int32_t desired, Decision& decision, History& history,
                    WallTime now) {
  History::Limits limits{view.min_replicas, view.max_replicas, decision.current};
  History::Verdict stable, bounded;
  if (view.has_behavior) {
    stable = history.stabilize(desired, decision.current, view.scale_up, view.scale_down, now);
    bounded = history.limit(stable.replicas, limits, view.scale_up, view.scale_down, now);
  } else {
    stable = {history.stabilize(desired, now), "ScaleDownStabilized",
              "recent recommendations were higher than current one, applying the highest recent "
              "recommendation"};
    bounded = limit_plainly(stable.replicas, limits);
  }
  if (stable.replicas == desired) {
    stable.reason = "ReadyForNewScale";
    stable.message = "recommended size matches current size";
  }
  note(decision, "AbleToScale", true, stable.reason, stable.message);
  note(decision, "ScalingLimited", bounded.replicas != stable.replicas, bounded.reason,
       bounded.message);
  return bounded.replicas;
}

void put_decision(Json& status, const Decision& decision, std::int32_t desired) {
  if (decision.current != 0) {
    status["currentReplicas"] = decision.current;
  } else {
    status.erase("currentReplicas");
  }
  status["desiredReplicas"] = desired;
  if (decision.metrics.empty()) {
    status.erase("currentMetrics");
  } else {
    status["currentMetrics"] = decision.metrics;
  }
}

Json status_of(const Object& autoscaler) {
  auto dom = autoscaler.dom();
  Json status = resources::object_of(*dom, "status");
  // A required member of the type, whatever happened so far.
  resources::default_to(status, "desiredReplicas", 0);
  return status;
}

}  // namespace

Decision decide(const AutoscaleInputs& in, History& history) {
  const auto& view = in.autoscaler->view<HpaView>();
  Decision decision;
  decision.current = decision.desired = in.scale.spec_replicas;
  note(decision, "AbleToScale", true, "SucceededGetScale",
       "the HPA controller was able to get the target's current scale");
  history.begin(decision.current, in.now);

  if (decision.current == 0 && view.min_replicas != 0) {
    note(decision, "ScalingActive", false, "ScalingDisabled",
         "scaling is disabled since the replica count of the target is zero");
    return decision;
  }
  if (decision.current > view.max_replicas) {
    decision.reason = "Current number of replicas above Spec.MaxReplicas";
    decision.desired = view.max_replicas;
  } else if (decision.current < view.min_replicas) {
    decision.reason = "Current number of replicas below Spec.MinReplicas";
    decision.desired = view.min_replicas;
  } else {
    auto wanted = evaluate_metrics(in, decision);
    if (!wanted) {
      decision.failed = true;
      decision.warnings.push_back({"FailedComputeMetricsReplicas", decision.error});
      return decision;
    }
    if (wanted->replicas > decision.current) decision.reason = wanted->metric + " above target";
    if (wanted->replicas < decision.current) decision.reason = "All metrics below target";
    decision.desired = steady(view, wanted->replicas, decision, history, in.now);
  }
  decision.rescale = decision.desired != decision.current;
  return decision;
}

Json status_after(const Object& autoscaler, const Decision& decision,
                  const std::string& write_error, WallTime now) {
  Json status = status_of(autoscaler);
  bool keep_desired = decision.failed || !write_error.empty();
  put_decision(
      status, decision,
      keep_desired ? autoscaler.view<HpaView>().status.desired_replicas : decision.desired);
  for (const resources::ConditionUpdate& condition : decision.conditions) {
    resources::set_condition(status, condition, now);
  }
  if (!decision.rescale) return status;
  if (!write_error.empty()) {
    resources::set_condition(
        status,
        {"AbleToScale", "False", "FailedUpdateScale",
         "the HPA controller was unable to update the target scale: " + write_error, std::nullopt},
        now);
    return status;
  }
  resources::set_condition(
      status,
      {"AbleToScale", "True", "SucceededRescale",
       fmt::format("the HPA controller was able to update the target scale to {}",
                   decision.desired),
       std::nullopt},
      now);
  status["lastScaleTime"] = format_rfc3339(now);
  return status;
}

Json status_without_scale(const Object& autoscaler, const std::string& message, WallTime now) {
  Json status = status_of(autoscaler);
  resources::set_condition(
      status,
      {"AbleToScale", "False", "FailedGetScale",
       "the HPA controller was unable to get the target's current scale: " + message, std::nullopt},
      now);
  return status;
}

}  // namespace moth::controllers::hpa
