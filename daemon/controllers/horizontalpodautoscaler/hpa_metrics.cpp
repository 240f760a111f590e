#include "daemon/controllers/horizontalpodautoscaler/hpa_metrics.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/resources/core_v1/pod_view.h"
#include "api/resources/edit.h"

namespace moth::controllers::hpa {

using resources::Container;
using resources::HpaMetric;
using resources::HpaView;
using resources::PodView;

namespace {

constexpr double kDefaultTolerance = 0.1;

Error problem(std::string message) {
  return Error::of(Reason::kInternalError, std::move(message));
}

PodFacts facts_of(const ObjectPtr& object) {
  const auto& pod = object->view<PodView>();
  PodFacts facts;
  facts.name = pod.name();
  facts.deleting = pod.is_deleting();
  facts.failed = pod.phase() == resources::PodPhase::kFailed;
  facts.pending = pod.phase() == resources::PodPhase::kPending;
  facts.start_time = pod.start_time();
  if (const resources::Condition* ready = pod.condition("Ready")) {
    facts.ready = ready->status != "False";
    facts.ready_transition = ready->last_transition;
  }
  return facts;
}

// Thousandths; nothing for resources that are not measured.
std::optional<std::int64_t> usage_of(const client::ContainerUsage& usage, const std::string& name) {
  if (name == "cpu") return (usage.cpu_nano_cores + 999'999) / 1'000'000;
  if (name == "memory") return usage.memory_bytes * 1000;
  return std::nullopt;
}

// The samples of the selected pods; of one container when it is named.
Result<Samples> samples_of(const HpaMetric& metric, const AutoscaleInputs& in) {
  if (!in.usage) {
    return fail(
        problem("unable to fetch metrics from resource metrics API: " + in.usage.error().message));
  }
  Samples samples;
  bool any = false;
  for (const client::PodUsage& usage : *in.usage) {
    bool selected = std::any_of(in.pods.begin(), in.pods.end(), [&](const ObjectPtr& pod) {
      return pod->name() == usage.name && (usage.uid.empty() || pod->uid() == usage.uid);
    });
    if (!selected) continue;
    any = true;
    std::int64_t sum = 0;
    bool complete = true, found = false;
    for (const client::ContainerUsage& container : usage.containers) {
      if (!metric.container.empty() && container.name != metric.container) continue;
      found = true;
      auto amount = usage_of(container, metric.name);
      complete &= amount.has_value();
      sum += amount.value_or(0);
    }
    if (!metric.container.empty() && !found) {
      return fail(problem(fmt::format("container {} not present in metrics for pod {}/{}",
                                      metric.container, usage.ns, usage.name)));
    }
    if (complete) samples[usage.name] = {sum, usage.timestamp, usage.window};
  }
  if (!any) return fail(problem("no metrics returned from resource metrics API"));
  return samples;
}

// What the containers of each pod request. A pod may say it as a whole.
Result<Requests> requests_of(const HpaMetric& metric, const AutoscaleInputs& in) {
  Requests requests;
  for (const ObjectPtr& object : in.pods) {
    const auto& pod = object->view<PodView>();
    if (metric.container.empty()) {
      auto dom = object->dom();
      const Json& whole = resources::object_of(
          resources::object_of(resources::object_of(*dom, "spec"), "resources"), "requests");
      if (const Json* amount = resources::member(whole, metric.name)) {
        requests[pod.name()] = Quantity::from_json(*amount).value_or(Quantity()).milli_value();
        continue;
      }
    }
    std::int64_t sum = 0;
    auto add = [&](const Container& container) -> Result<> {
      if (!metric.container.empty() && container.name != metric.container) return {};
      auto amount = container.resources.requests.find(metric.name);
      if (amount == container.resources.requests.end()) {
        return fail(problem(fmt::format("missing request for {} in container {} of Pod {}",
                                        metric.name, container.name, pod.name())));
      }
      sum += amount->second.milli_value();
      return {};
    };
    for (const Container& container : pod.containers()) MOTH_TRY(add(container));
    for (const Container& container : pod.init_containers()) {
      if (container.is_sidecar()) MOTH_TRY(add(container));
    }
    requests[pod.name()] = sum;
  }
  return requests;
}

Json metric_status(const HpaMetric& metric, Json current) {
  Json source = {{"name", metric.name}, {"current", std::move(current)}};
  bool container = metric.source == HpaMetric::Source::kContainerResource;
  if (container) source["container"] = metric.container;
  return {{"type", container ? "ContainerResource" : "Resource"},
          {container ? "containerResource" : "resource", std::move(source)}};
}

Result<UsageInputs> usage_inputs(const HpaMetric& metric, const AutoscaleInputs& in) {
  const auto& view = in.autoscaler->view<HpaView>();
  auto samples = samples_of(metric, in);
  if (!samples) {
    return fail(problem(fmt::format("unable to get metrics for resource {}: {}", metric.name,
                                    samples.error().message)));
  }
  UsageInputs inputs;
  inputs.current = in.scale.spec_replicas;
  for (const ObjectPtr& pod : in.pods) inputs.pods.push_back(facts_of(pod));
  inputs.samples = *std::move(samples);
  inputs.cpu = metric.name == "cpu";
  inputs.tolerances = {view.scale_up.tolerance.value_or(kDefaultTolerance),
                       view.scale_down.tolerance.value_or(kDefaultTolerance)};
  inputs.now = in.now;
  return inputs;
}

std::string quantity_text(std::int64_t milli) {
  return Quantity::from_milli(milli).to_string();
}

Result<Reading> read_average(const HpaMetric& metric, const AutoscaleInputs& in) {
  MOTH_ASSIGN(UsageInputs inputs, usage_inputs(metric, in));
  MOTH_ASSIGN(Proposal proposal, by_average(inputs, metric.value.milli_value()));
  return Reading{proposal.replicas, metric.name + " resource",
                 metric_status(metric, {{"averageValue", quantity_text(proposal.average)}})};
}

Result<Reading> read_utilization(const HpaMetric& metric, const AutoscaleInputs& in) {
  MOTH_ASSIGN(UsageInputs inputs, usage_inputs(metric, in));
  MOTH_ASSIGN(Requests requests, requests_of(metric, in));
  MOTH_ASSIGN(Proposal proposal, by_utilization(inputs, requests, metric.average_utilization));
  return Reading{proposal.replicas, metric.name + " resource utilization (percentage of request)",
                 metric_status(metric, {{"averageUtilization", proposal.utilization},
                                        {"averageValue", quantity_text(proposal.average)}})};
}

tl::expected<Reading, MetricFailure> read_resource(const HpaMetric& metric,
                                                   const AutoscaleInputs& in) {
  bool average = metric.target == HpaMetric::Target::kAverageValue;
  auto reading = average ? read_average(metric, in) : read_utilization(metric, in);
  if (reading) return *std::move(reading);
  bool container = metric.source == HpaMetric::Source::kContainerResource;
  MetricFailure failure;
  failure.reason = container ? "FailedGetContainerResourceMetric" : "FailedGetResourceMetric";
  failure.message = fmt::format("failed to get {} {}: {}", metric.name,
                                average ? "usage" : "utilization", reading.error().message);
  failure.error = fmt::format("failed to get {} {} metric value: {}", metric.name,
                              container ? "container" : "resource", failure.message);
  return tl::make_unexpected(std::move(failure));
}

}  // namespace

tl::expected<Reading, MetricFailure> evaluate(const HpaMetric& metric, const AutoscaleInputs& in) {
  constexpr const char* kNoCustom =
      "unable to fetch metrics from custom metrics API: no custom metrics API "
      "(custom.metrics.k8s.io) registered";
  MetricFailure failure;
  switch (metric.source) {
    case HpaMetric::Source::kResource:
    case HpaMetric::Source::kContainerResource:
      return read_resource(metric, in);
    case HpaMetric::Source::kPods:
      failure = {"FailedGetPodsMetric",
                 fmt::format("unable to get metric {}: {}", metric.name, kNoCustom), ""};
      failure.error = "failed to get pods metric value: " + failure.message;
      break;
    case HpaMetric::Source::kObject:
      failure = {"FailedGetObjectMetric",
                 fmt::format("unable to get metric {}: {} on {} {}: {}", metric.name,
                             metric.described_object.kind, in.autoscaler->ns(),
                             metric.described_object.name, kNoCustom),
                 ""};
      failure.error = "failed to get object metric value: " + failure.message;
      break;
    case HpaMetric::Source::kExternal:
      failure = {"FailedGetExternalMetric",
                 fmt::format("unable to get external metric {}/{}: unable to fetch metrics from "
                             "external metrics API: no external metrics API "
                             "(external.metrics.k8s.io) registered",
                             in.autoscaler->ns(), metric.name),
                 ""};
      failure.error =
          fmt::format("failed to get {} external metric value: {}", metric.name, failure.message);
      break;
  }
  return tl::make_unexpected(std::move(failure));
}

}  // namespace moth::controllers::hpa
