#include "tests/support/cluster/fake_node.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_view.h"

namespace moth::test {
namespace {

using client::gvr::kPods;
using controllers::Key;
using controllers::Requeue;
using resources::PodPhase;
using resources::PodView;

void put_condition(Json& status, const char* type, bool value, WallTime now) {
  resources::set_condition(status, {type, value ? "True" : "False", "", "", std::nullopt}, now);
}

class FakeNode final : public controllers::Controller {
 public:
  FakeNode(controllers::ControllerContext context, std::string node_name,
           std::shared_ptr<BehaviourOf> behaviour)
      : context_(context), node_(std::move(node_name)), behaviour_(std::move(behaviour)) {}

  std::string_view name() const override { return "fake node"; }
  int workers() const override { return 16; }
  void subscribe(controllers::WorkQueue& queue) override {
    controllers::watch_own(context_.subscriptions, kPods, queue);
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr pod = context_.reader.get(kPods, key.ns, key.name);
    if (!pod || pod->view<PodView>().node_name() != node_) co_return Requeue{};
    PodBehaviour behaviour = *behaviour_ ? (*behaviour_)(*pod) : PodBehaviour{};
    if (pod->view<PodView>().is_deleting()) co_return co_await stop(pod, behaviour);
    co_return co_await run(pod, behaviour);
  }

 private:
  // Nothing while `moment` is still to come.
  std::optional<Requeue> wait_for(WallTime moment) const {
    Duration left = moment - context_.clock.wall();
    if (left <= Duration::zero()) return std::nullopt;
    return Requeue{left};
  }

  Task<Result<Requeue>> stop(ObjectPtr pod, PodBehaviour behaviour) {
    std::chrono::seconds grace(pod->meta().deletion_grace_seconds.value_or(0));
    WallTime asked = *pod->meta().deletion_time - grace;
    if (auto wait = wait_for(asked + std::chrono::duration_cast<WallTime::duration>(
                                         std::min<Duration>(behaviour.stop_delay, grace)))) {
      co_return *wait;
    }
    client::DeleteOptions options;
    options.grace_period_seconds = 0;
    options.precondition_uid = pod->uid();
    auto removed = co_await context_.client.remove(kPods, pod->ns(), pod->name(), options);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Requeue{};
  }

  Task<Result<Requeue>> run(ObjectPtr pod, PodBehaviour behaviour) {
    const auto& view = pod->view<PodView>();
    if (view.is_finished()) co_return Requeue{};
    WallTime now = context_.clock.wall();
    auto after = [](WallTime from, Duration delay) {
      return from + std::chrono::duration_cast<WallTime::duration>(delay);
    };
    const resources::Condition* scheduled = view.condition("PodScheduled");
    WallTime bound = scheduled && scheduled->last_transition ? *scheduled->last_transition : now;
    WallTime started = view.start_time().value_or(now);
    if (view.phase() == PodPhase::kPending) {
      if (auto wait = wait_for(after(bound, behaviour.start_delay))) co_return *wait;
      bool ready = behaviour.ready && behaviour.ready_delay == Duration::zero();
      co_return co_await write(pod, "Running", ready, std::nullopt);
    }
    if (behaviour.exit_code) {
      if (auto wait = wait_for(after(started, behaviour.run_time))) co_return *wait;
      co_return co_await write(pod, *behaviour.exit_code == 0 ? "Succeeded" : "Failed", false,
                               behaviour.exit_code);
    }
    if (view.is_ready() == behaviour.ready) co_return Requeue{};
    if (behaviour.ready) {
      if (auto wait = wait_for(after(started, behaviour.ready_delay))) co_return *wait;
    }
    co_return co_await write(pod, "Running", behaviour.ready, std::nullopt);
  }

  Task<Result<Requeue>> write(ObjectPtr pod, std::string phase, bool ready,
                              std::optional<int> exit_code) {
    WallTime now = context_.clock.wall();
    Json object = pod->parse();
    Json& status = object["status"];
    status["phase"] = phase;
    if (!status.contains("startTime")) status["startTime"] = format_rfc3339(now);
    status["podIP"] = "10.0.0.1";
    status["podIPs"] = Json::array({{{"ip", "10.0.0.1"}}});
    status["hostIP"] = "192.168.0.1";
    for (const char* type : {"Initialized", "PodReadyToStartContainers"}) {
      put_condition(status, type, true, now);
    }
    for (const char* type : {"ContainersReady", "Ready"}) put_condition(status, type, ready, now);
    Json state = {{"running", {{"startedAt", format_rfc3339(now)}}}};
    if (exit_code) {
      state = {{"terminated",
                {{"exitCode", *exit_code},
                 {"reason", *exit_code == 0 ? "Completed" : "Error"},
                 {"startedAt", status["startTime"]},
                 {"finishedAt", format_rfc3339(now)}}}};
    }
    status["containerStatuses"] = Json::array();
    for (const resources::Container& container : pod->view<PodView>().containers()) {
      status["containerStatuses"].push_back({{"name", container.name},
                                             {"image", container.image},
                                             {"imageID", container.image},
                                             {"containerID", "fake://" + container.name},
                                             {"ready", ready},
                                             {"started", !exit_code},
                                             {"restartCount", 0},
                                             {"state", state}});
    }
    client::WriteOptions options;
    options.subresource = "status";
    auto written =
        co_await context_.client.update(kPods, pod->ns(), pod->name(), std::move(object), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Requeue{};
  }

  controllers::ControllerContext context_;
  std::string node_;
  std::shared_ptr<BehaviourOf> behaviour_;
};

}  // namespace

std::unique_ptr<controllers::Controller> make_fake_node(controllers::ControllerContext context,
                                                        std::string node_name,
                                                        std::shared_ptr<BehaviourOf> behaviour) {
  return std::make_unique<FakeNode>(context, std::move(node_name), std::move(behaviour));
}

}  // namespace moth::test
