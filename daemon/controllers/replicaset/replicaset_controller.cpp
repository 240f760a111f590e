#include "daemon/controllers/replicaset/replicaset_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/client/event_recorder.h"
#include "api/resources/apps_v1/replica_set_view.h"
#include "api/resources/edit.h"
#include "daemon/controllers/framework/batch.h"
#include "daemon/controllers/framework/ownership.h"
#include "daemon/controllers/replicaset/replicaset_plan.h"

namespace moth::controllers {

namespace {

using client::EventType;
using client::gvr::kPods;
using client::gvr::kReplicaSets;
using resources::ReplicaSetView;

class ReplicaSetController final : public Controller {
 public:
  explicit ReplicaSetController(ControllerContext context) : context_(context) {}

  std::string_view name() const override { return "replicaset"; }
  void subscribe(WorkQueue& queue) override;
  Task<Result<Requeue>> reconcile(Key key) override;

 private:
  void orphan_changed(const client::ObjectReader::Change& change, WorkQueue& queue) const;
  std::vector<ObjectPtr> related_pods(const Object& set) const;
  Task<std::optional<ReplicaFailure>> manage(ObjectPtr set, const ReplicaSetPlan& plan,
                                             Result<>& outcome);
  Task<Result<>> create_pod(ObjectPtr set);
  Task<Result<>> delete_pod(ObjectPtr set, ObjectPtr pod);
  Task<Result<>> write_status(ObjectPtr set, Json status);

  ControllerContext context_;
};

void ReplicaSetController::subscribe(WorkQueue& queue) {
  watch_own(context_.subscriptions, kReplicaSets, queue);
  watch_owned(context_.subscriptions, kPods, "ReplicaSet", queue);
  context_.subscriptions.subscribe(
      kPods, [this, &queue](const auto& change) { orphan_changed(change, queue); });
}

// A pod without a controller concerns every ReplicaSet that selects it.
void ReplicaSetController::orphan_changed(const client::ObjectReader::Change& change,
                                          WorkQueue& queue) const {
  if (!change.object || change.object->meta().controller()) return;
  const Meta& pod = change.object->meta();
  bool new_orphan = !change.previous || change.previous->meta().controller() ||
                    change.previous->meta().labels != pod.labels;
  if (!new_orphan || pod.labels.empty()) return;
  for (const ObjectPtr& set : context_.reader.list(kReplicaSets, pod.ns)) {
    if (set->view<ReplicaSetView>().selector.matches(pod.labels))
      queue.add({set->ns(), set->name()});
  }
}

Task<Result<Requeue>> ReplicaSetController::reconcile(Key key) {
  ObjectPtr set = context_.reader.get(kReplicaSets, key.ns, key.name);
  if (!set) co_return Requeue{};
  MOTH_CO_ASSIGN(std::vector<ObjectPtr> owned,
                 co_await claim(context_.reader, context_.client, kReplicaSets, set,
                                set->view<ReplicaSetView>().selector, kPods,
                                context_.reader.list(kPods, key.ns)));
  ReplicaSetPlan plan = plan_replicas(
      *set, owned, [&] { return related_pods(*set); }, context_.clock.wall());
  Result<> outcome;
  std::optional<ReplicaFailure> failure = co_await manage(set, plan, outcome);

  // What was just made or deleted is no part of this status: its changes bring the key back.
  ReplicaSetStatusPlan status = plan_replicaset_status(*set, owned, failure, context_.clock.wall());
  MOTH_CO_TRY(co_await write_status(set, std::move(status.status)));
  if (!outcome) co_return fail(outcome.error());
  co_return Requeue{status.next_available};
}

// Pods of all ReplicaSets of the same Deployment; of this one alone when it has no owner.
std::vector<ObjectPtr> ReplicaSetController::related_pods(const Object& set) const {
  const OwnerReference* owner = set.meta().controller();
  std::vector<std::string> uids = {set.uid()};
  if (owner) {
    for (const ObjectPtr& other : context_.reader.list(kReplicaSets, set.ns())) {
      const OwnerReference* theirs = other->meta().controller();
      if (theirs && theirs->uid == owner->uid && other->uid() != set.uid())
        uids.push_back(other->uid());
    }
  }
  std::vector<ObjectPtr> pods;
  for (ObjectPtr& pod : context_.reader.list(kPods, set.ns())) {
    const OwnerReference* controller = pod->meta().controller();
    if (controller && std::find(uids.begin(), uids.end(), controller->uid) != uids.end())
      pods.push_back(std::move(pod));
  }
  return pods;
}

Task<std::optional<ReplicaFailure>> ReplicaSetController::manage(ObjectPtr set,
                                                                 const ReplicaSetPlan& plan,
                                                                 Result<>& outcome) {
  BatchOutcome done;
  if (plan.create > 0) {
    done = co_await slow_start(context_.control, plan.create,
                               [this, set](int) { return create_pod(set); });
  } else if (!plan.remove.empty()) {
    done = co_await run_all(context_.control, static_cast<int>(plan.remove.size()),
                            [this, set, &plan](int i) {
                              return delete_pod(set, plan.remove[static_cast<std::size_t>(i)]);
                            });
  }
  if (!done.first_error) co_return std::nullopt;
  ReplicaFailure failure{plan.create > 0, done.first_error->message};
  outcome = fail(*std::move(done.first_error));
  co_return failure;
}

Task<Result<>> ReplicaSetController::create_pod(ObjectPtr set) {
  client::WriteOptions options;
  options.field_manager = kFieldManager;
  auto created =
      co_await context_.client.create(kPods, set->ns(), pod_from_template(*set), options);
  if (created) {
    context_.events.record(*set, EventType::kNormal, "SuccessfulCreate",
                           "Created pod: " + (*created)->name());
    co_return Result<>{};
  }
  if (is_namespace_terminating(created.error())) co_return Result<>{};
  context_.events.record(*set, EventType::kWarning, "FailedCreate",
                         "Error creating: " + created.error().message);
  co_return fail(created.error());
}

Task<Result<>> ReplicaSetController::delete_pod(ObjectPtr set, ObjectPtr pod) {
  client::DeleteOptions options;
  options.precondition_uid = pod->uid();
  auto removed = co_await context_.client.remove(kPods, pod->ns(), pod->name(), options);
  if (removed) {
    context_.events.record(*set, EventType::kNormal, "SuccessfulDelete",
                           "Deleted pod: " + pod->name());
    co_return Result<>{};
  }
  if (removed.error().reason == Reason::kNotFound) co_return Result<>{};
  context_.events.record(*set, EventType::kWarning, "FailedDelete",
                         "Error deleting: " + removed.error().message);
  co_return fail(removed.error());
}

Task<Result<>> ReplicaSetController::write_status(ObjectPtr set, Json status) {
  Json object = set->parse();
  if (resources::object_of(object, "status") == status) co_return Result<>{};
  object["status"] = std::move(status);
  client::WriteOptions options;
  options.field_manager = kFieldManager;
  options.subresource = "status";
  auto written = co_await context_.client.update(kReplicaSets, set->ns(), set->name(),
                                                 std::move(object), options);
  if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
  co_return Result<>{};
}

}  // namespace

std::unique_ptr<Controller> make_replicaset_controller(ControllerContext context) {
  return std::make_unique<ReplicaSetController>(context);
}

}  // namespace moth::controllers
