#include "scheduler/scheduler.h"

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/resources/conditions.h"

namespace moth::scheduler {

using resources::PodView;

Scheduler::Scheduler(asio::any_io_executor control, Clock& clock, client::ObjectReader& reader,
                     client::ObjectClient& client, client::EventRecorder& events)
    : control_(control),
      clock_(clock),
      reader_(reader),
      client_(client),
      events_(events),
      pipeline_(make_pipeline()),
      changed_(control),
      scope_(control) {}

Scheduler::~Scheduler() = default;

void Scheduler::start() {
  reader_.subscribe(client::gvr::kPods, [this](const auto& change) { pod_changed(change); });
  reader_.subscribe(client::gvr::kNodes, [this](const auto&) {
    queue_.wake(clock_.mono());
    changed_.notify();
  });
  for (const ObjectPtr& pod : reader_.list(client::gvr::kPods)) pod_changed({pod, nullptr});
  scope_.spawn("scheduler", run());
}

Task<void> Scheduler::stop() {
  scope_.cancel();
  co_await scope_.join();
}

void Scheduler::pod_changed(const client::ObjectReader::Change& change) {
  const Object& object = change.any();
  const auto& pod = object.view<PodView>();
  bool waits = change.object && !pod.is_scheduled() && !pod.is_deleting() && !pod.is_finished() &&
               pod.spec().scheduler_name == "default-scheduler";
  if (!waits) {
    queue_.remove(object.uid());
    // A pod that went or ended makes room; one that found its node may be what others want to be
    // near.
    bool frees = !change.object || pod.is_finished();
    bool arrived = change.object && pod.is_scheduled() &&
                   (!change.previous || !change.previous->view<PodView>().is_scheduled());
    if (frees || arrived) queue_.wake(clock_.mono());
  } else if (!change.previous || change.previous->meta().generation != object.meta().generation ||
             change.previous->meta().labels != object.meta().labels) {
    queue_.add({object.uid(), object.ns(), object.name(), pod.spec().priority,
                object.meta().created.value_or(WallTime{})});
  }
  changed_.notify();
}

Snapshot Scheduler::snapshot() const {
  return Snapshot::build(reader_.list(client::gvr::kNodes), reader_.list(client::gvr::kPods),
                         reader_.list(client::gvr::kNamespaces));
}

Task<void> Scheduler::run() {
  using namespace asio::experimental::awaitable_operators;
  for (;;) {
    if (auto pod = queue_.pop(clock_.mono())) {
      co_await schedule(*std::move(pod));
      continue;
    }
    MonoTime next = queue_.next_time(clock_.mono());
    if (next == MonoTime::max()) {
      co_await changed_.wait();
    } else {
      co_await (changed_.wait() || clock_.sleep_until(next));
    }
  }
}

Task<void> Scheduler::schedule(QueuedPod queued) {
  ObjectPtr object = reader_.get(client::gvr::kPods, queued.ns, queued.name);
  if (!object || object->uid() != queued.uid) {
    queue_.remove(queued.uid);
    co_return;
  }
  const auto& pod = object->view<PodView>();
  if (!pod.spec().scheduling_gates.empty()) {
    co_await set_unschedulable(object, "SchedulingGated",
                               "Scheduling is blocked due to non-empty scheduling gates", "");
    queue_.failed(queued, clock_.mono());
    co_return;
  }
  Snapshot state = snapshot();
  Decision decision = pipeline_.decide(pod, state);
  if (decision.node.empty()) {
    co_await refuse(object, queued, state, decision);
    co_return;
  }
  Json binding = {{"apiVersion", "v1"},
                  {"kind", "Binding"},
                  {"metadata", {{"name", queued.name}, {"namespace", queued.ns}}},
                  {"target", {{"kind", "Node"}, {"apiVersion", "v1"}, {"name", decision.node}}}};
  client::WriteOptions options;
  options.subresource = "binding";
  auto bound = co_await client_.create(client::gvr::kPods, queued.ns, std::move(binding), options,
                                       queued.name);
  if (!bound && bound.error().reason != Reason::kNotFound &&
      bound.error().reason != Reason::kConflict) {
    log::warning("binding failed", log::field("pod", queued.ns + "/" + queued.name),
                 log::field("error", bound.error().message));
    queue_.failed(queued, clock_.mono());
    co_return;
  }
  queue_.remove(queued.uid);
  if (!bound) co_return;
  events_.record(
      *object, client::EventType::kNormal, "Scheduled",
      fmt::format("Successfully assigned {}/{} to {}", queued.ns, queued.name, decision.node));
}

Task<void> Scheduler::refuse(ObjectPtr object, const QueuedPod& queued, const Snapshot& state,
                             const Decision& decision) {
  const auto& pod = object->view<PodView>();
  std::string message = decision.message, nominated;
  if (!state.nodes.empty()) {
    auto plan = plan_preemption(pod, state, pipeline_, decision.preemptible);
    if (plan) {
      nominated = plan->node;
      co_await preempt(*object, *plan);
    }
    bool useful = !decision.preemptible.empty();
    std::string count =
        fmt::format("0/{} nodes are available: {} ", state.nodes.size(), state.nodes.size());
    if (!plan) {
      message += " preemption: " + count +
                 (useful ? "No preemption victims found for incoming pod."
                         : "Preemption is not helpful for scheduling.");
    }
  }
  events_.record(*object, client::EventType::kWarning, "FailedScheduling", message);
  co_await set_unschedulable(object, "Unschedulable", message, nominated);
  queue_.failed(queued, clock_.mono());
}

Task<void> Scheduler::preempt(const Object& pod, const PreemptionPlan& plan) {
  for (const PodView* victim : plan.victims) {
    ObjectPtr object = reader_.get(client::gvr::kPods, victim->ns(), victim->name());
    if (!object || object->uid() != victim->uid() || object->meta().deletion_time) continue;
    Json draft = object->parse();
    resources::ConditionUpdate condition{
        "DisruptionTarget", "True", "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod",
        object->meta().generation};
    resources::set_condition(draft["status"], condition, clock_.wall());
    draft["metadata"].erase("resourceVersion");
    client::WriteOptions options;
    options.subresource = "status";
    (void)co_await client_.update(client::gvr::kPods, object->ns(), object->name(),
                                  std::move(draft), options);
    client::DeleteOptions removal;
    removal.precondition_uid = object->uid();
    auto removed =
        co_await client_.remove(client::gvr::kPods, object->ns(), object->name(), removal);
    if (!removed) continue;
    events_.record(*object, client::EventType::kNormal, "Preempted",
                   fmt::format("Preempted by pod {} on node {}", pod.uid(), plan.node));
  }
}

Task<void> Scheduler::set_unschedulable(ObjectPtr pod, std::string reason, std::string message,
                                        std::string nominated) {
  Json draft = pod->parse();
  resources::ConditionUpdate condition{"PodScheduled", "False", std::move(reason),
                                       std::move(message), pod->meta().generation};
  bool changed = resources::set_condition(draft["status"], condition, clock_.wall());
  if (!nominated.empty() && string_or(draft["status"], "nominatedNodeName") != nominated) {
    draft["status"]["nominatedNodeName"] = nominated;
    changed = true;
  }
  if (!changed) co_return;
  draft["metadata"].erase("resourceVersion");
  client::WriteOptions options;
  options.subresource = "status";
  auto written = co_await client_.update(client::gvr::kPods, pod->ns(), pod->name(),
                                         std::move(draft), options);
  if (!written && written.error().reason != Reason::kNotFound) {
    log::warning("pod status not written", log::field("pod", pod->ns() + "/" + pod->name()),
                 log::field("error", written.error().message));
  }
}

}  // namespace moth::scheduler
