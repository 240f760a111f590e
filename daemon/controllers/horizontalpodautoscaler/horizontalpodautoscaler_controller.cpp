#include "daemon/controllers/horizontalpodautoscaler/horizontalpodautoscaler_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/client/event_recorder.h"
#include "api/machinery/selectors.h"
#include "api/resources/autoscaling_v2/hpa_view.h"
#include "api/resources/edit.h"
#include "daemon/controllers/framework/ownership.h"
#include "daemon/controllers/horizontalpodautoscaler/hpa_plan.h"

namespace moth::controllers {

namespace {

using client::EventType;
using client::gvr::kHorizontalPodAutoscalers;
using client::gvr::kPods;
using resources::HpaView;

constexpr auto kPeriod = std::chrono::seconds(15);

class NodeMetricsSource final : public MetricsSource {
 public:
  explicit NodeMetricsSource(client::NodeApi* node) : node_(node) {}
  Result<std::vector<client::PodUsage>> pod_usage(std::string_view ns) override {
    if (!node_) {
      return fail(Error::of(Reason::kNotFound,
                            "the server could not find the requested resource (get "
                            "pods.metrics.k8s.io)"));
    }
    std::vector<client::PodUsage> usage = node_->pod_usage();
    std::erase_if(usage, [ns](const client::PodUsage& one) { return one.ns != ns; });
    return usage;
  }

 private:
  client::NodeApi* node_;
};

std::optional<Gvr> builtin_resource(const Gvk& target) {
  static const std::array<std::pair<const char*, Gvr>, 4> kTargets = {{
      {"Deployment", {"apps", "v1", "deployments"}},
      {"ReplicaSet", {"apps", "v1", "replicasets"}},
      {"StatefulSet", {"apps", "v1", "statefulsets"}},
      {"ReplicationController", {"", "v1", "replicationcontrollers"}},
  }};
  for (const auto& [kind, gvr] : kTargets) {
    // Any version of the group will do, as upstream.
    if (target.kind == kind && target.group == gvr.group) return gvr;
  }
  return std::nullopt;
}

class AutoscalerController final : public Controller {
 public:
  AutoscalerController(ControllerContext context, AutoscalerOptions options)
      : context_(context), options_(std::move(options)) {
    if (!options_.metrics) options_.metrics = make_node_metrics_source(nullptr);
    if (!options_.resource_of) options_.resource_of = builtin_resource;
  }

  std::string_view name() const override { return "horizontalpodautoscaler"; }
  int workers() const override { return 1; }
  void subscribe(WorkQueue& queue) override;
  Task<Result<Requeue>> reconcile(Key key) override;

 private:
  // Kept as long as the autoscaler is there; lost at a restart, when the first recommendation is
  // what runs.
  struct Memory {
    std::string uid;
    hpa::History history;
    LabelSelector selector = LabelSelector::nothing();
  };

  Memory& memory_of(const Key& key, const std::string& uid);
  hpa::AutoscaleInputs gather(const ObjectPtr& autoscaler, hpa::ScaleNow scale, Memory& memory);
  Task<> look(ObjectPtr autoscaler, Key key);
  Task<> rescale(ObjectPtr autoscaler, const hpa::Decision& decision, Gvr gvr,
                 std::string& write_error);
  Task<> write_status(ObjectPtr autoscaler, Json status);

  ControllerContext context_;
  AutoscalerOptions options_;
  std::map<Key, Memory> memories_;
};

// Changes of the status are its own; only a new spec is looked at before the period has passed.
void AutoscalerController::subscribe(WorkQueue& queue) {
  context_.subscriptions.subscribe(
      kHorizontalPodAutoscalers, [&queue](const client::ObjectReader::Change& change) {
        bool same_spec = change.object && change.previous &&
                         change.object->uid() == change.previous->uid() &&
                         change.object->meta().generation == change.previous->meta().generation;
        if (!same_spec) queue.add({change.any().ns(), change.any().name()});
      });
  for (const ObjectPtr& object : context_.reader.list(kHorizontalPodAutoscalers)) {
    queue.add({object->ns(), object->name()});
  }
}

AutoscalerController::Memory& AutoscalerController::memory_of(const Key& key,
                                                              const std::string& uid) {
  Memory& memory = memories_[key];
  if (memory.uid != uid) memory = {uid, {}, LabelSelector::nothing()};
  return memory;
}

Task<Result<Requeue>> AutoscalerController::reconcile(Key key) {
  ObjectPtr autoscaler = context_.reader.get(kHorizontalPodAutoscalers, key.ns, key.name);
  if (!autoscaler || autoscaler->meta().deletion_time) {
    memories_.erase(key);
    co_return Requeue{};
  }
  co_await look(autoscaler, key);
  // Failures are told by conditions and events, and looked at again in the same rhythm.
  co_return Requeue{kPeriod};
}

hpa::AutoscaleInputs AutoscalerController::gather(const ObjectPtr& autoscaler, hpa::ScaleNow scale,
                                                  Memory& memory) {
  hpa::AutoscaleInputs inputs;
  inputs.autoscaler = autoscaler;
  inputs.usage = options_.metrics->pod_usage(autoscaler->ns());
  inputs.now = context_.clock.wall();
  auto selector = LabelSelector::parse(scale.selector);
  if (!selector) inputs.selector_error = selector.error().message;
  memory.selector =
      selector && !scale.selector.empty() ? *std::move(selector) : LabelSelector::nothing();
  inputs.scale = std::move(scale);
  for (ObjectPtr& pod : context_.reader.list(kPods, autoscaler->ns())) {
    if (memory.selector.matches(pod->meta().labels)) inputs.pods.push_back(std::move(pod));
  }
  for (const auto& [key, other] : memories_) {
    if (key.ns != autoscaler->ns()) continue;
    bool claims = std::any_of(inputs.pods.begin(), inputs.pods.end(), [&](const ObjectPtr& pod) {
      return other.selector.matches(pod->meta().labels);
    });
    if (claims) inputs.claimants.push_back(fmt::format("{{{} {}}}", key.name, key.ns));
  }
  return inputs;
}

Task<> AutoscalerController::look(ObjectPtr autoscaler, Key key) {
  const auto& view = autoscaler->view<HpaView>();
  Memory& memory = memory_of(key, autoscaler->uid());
  Gvk target = Gvk::of(view.target.api_version, view.target.kind);
  std::optional<Gvr> gvr = options_.resource_of(target);
  std::string problem;
  hpa::ScaleNow scale;
  if (!gvr) {
    problem = fmt::format("no matches for kind \"{}\" in group \"{}\"", target.kind, target.group);
  } else {
    auto got = co_await context_.client.get(*gvr, autoscaler->ns(), view.target.name, "scale");
    if (got) {
      const Json json = (*got)->parse();
      scale.spec_replicas =
          static_cast<std::int32_t>(int_or(resources::object_of(json, "spec"), "replicas"));
      scale.selector = string_or(resources::object_of(json, "status"), "selector");
    } else {
      problem = got.error().message;
    }
  }
  if (!problem.empty()) {
    memory.selector = LabelSelector::nothing();
    context_.events.record(*autoscaler, EventType::kWarning, "FailedGetScale", problem);
    co_await write_status(autoscaler,
                          hpa::status_without_scale(*autoscaler, problem, context_.clock.wall()));
    co_return;
  }
  hpa::AutoscaleInputs inputs = gather(autoscaler, std::move(scale), memory);
  hpa::Decision decision = hpa::decide(inputs, memory.history);
  for (const hpa::Warning& warning : decision.warnings) {
    context_.events.record(*autoscaler, EventType::kWarning, warning.reason, warning.message);
  }
  std::string write_error;
  if (decision.rescale) co_await rescale(autoscaler, decision, *gvr, write_error);
  if (decision.rescale && write_error.empty() && view.has_behavior) {
    memory_of(key, autoscaler->uid())
        .history.scaled(decision.current, decision.desired, view.scale_up, view.scale_down,
                        context_.clock.wall());
  }
  co_await write_status(
      autoscaler, hpa::status_after(*autoscaler, decision, write_error, context_.clock.wall()));
}

Task<> AutoscalerController::rescale(ObjectPtr autoscaler, const hpa::Decision& decision, Gvr gvr,
                                     std::string& write_error) {
  const auto& view = autoscaler->view<HpaView>();
  client::WriteOptions options;
  options.field_manager = kFieldManager;
  options.subresource = "scale";
  // A patch: what else changes about the target is no conflict.
  Json patch = {{"spec", {{"replicas", decision.desired}}}};
  auto written =
      co_await context_.client.patch(gvr, autoscaler->ns(), view.target.name,
                                     client::PatchType::kMerge, std::move(patch), options);
  if (written) {
    context_.events.record(
        *autoscaler, EventType::kNormal, "SuccessfulRescale",
        fmt::format("New size: {}; reason: {}", decision.desired, decision.reason));
  } else {
    write_error = written.error().message;
    context_.events.record(*autoscaler, EventType::kWarning, "FailedRescale",
                           fmt::format("New size: {}; reason: {}; error: {}", decision.desired,
                                       decision.reason, write_error));
  }
}

Task<> AutoscalerController::write_status(ObjectPtr autoscaler, Json status) {
  Json object = autoscaler->parse();
  if (resources::object_of(object, "status") == status) co_return;
  object["status"] = std::move(status);
  // A spec that changed meanwhile brings the key back; the status is that of this look all the
  // same.
  object["metadata"].erase("resourceVersion");
  client::WriteOptions options;
  options.field_manager = kFieldManager;
  options.subresource = "status";
  auto written = co_await context_.client.update(kHorizontalPodAutoscalers, autoscaler->ns(),
                                                 autoscaler->name(), std::move(object), options);
  if (!written && written.error().reason != Reason::kNotFound) {
    log::warning("autoscaler status not written",
                 log::field("autoscaler", autoscaler->meta().key()),
                 log::field("error", written.error().message));
  }
}

}  // namespace

std::unique_ptr<MetricsSource> make_node_metrics_source(client::NodeApi* node) {
  return std::make_unique<NodeMetricsSource>(node);
}

std::unique_ptr<Controller> make_horizontalpodautoscaler_controller(ControllerContext context,
                                                                    AutoscalerOptions options) {
  return std::make_unique<AutoscalerController>(context, std::move(options));
}

}  // namespace moth::controllers
