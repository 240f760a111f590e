#include "daemon/controllers/deployment/deployment_controller.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/client/event_recorder.h"
#include "api/resources/apps_v1/deployment_view.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/edit.h"
#include "daemon/controllers/deployment/deployment_plan.h"
#include "daemon/controllers/framework/ownership.h"

namespace moth::controllers {

namespace {

using client::EventType;
using client::gvr::kDeployments;
using client::gvr::kPods;
using client::gvr::kReplicaSets;
using resources::DeploymentView;

// A ReplicaSet is created at most once in a reconcile, which then plans again.
constexpr int kMaxRounds = 3;

client::WriteOptions write_options(std::string subresource = "") {
  client::WriteOptions options;
  options.field_manager = kFieldManager;
  options.subresource = std::move(subresource);
  return options;
}

class DeploymentController final : public Controller {
 public:
  explicit DeploymentController(ControllerContext context) : context_(context) {}

  std::string_view name() const override { return "deployment"; }
  void subscribe(WorkQueue& queue) override;
  Task<Result<Requeue>> reconcile(Key key) override;

 private:
  void orphan_changed(const client::ObjectReader::Change& change, WorkQueue& queue) const;
  void pod_changed(const client::ObjectReader::Change& change, WorkQueue& queue) const;
  std::vector<ObjectPtr> live_pods(const std::vector<ObjectPtr>& sets) const;
  Task<Result<DeploymentInputs>> gather(ObjectPtr deployment);
  Task<Result<>> create_set(const DeploymentInputs& inputs, DeploymentPlan plan);
  Task<Result<>> name_taken(const DeploymentInputs& inputs, const Json& wanted, Error why);
  Task<Result<>> apply(const DeploymentInputs& inputs, DeploymentPlan plan);
  Task<Result<>> resize(ObjectPtr deployment, SetChange change);
  Task<Result<>> write_status(ObjectPtr deployment, Json status, std::string revision);

  ControllerContext context_;
};

void DeploymentController::subscribe(WorkQueue& queue) {
  watch_own(context_.subscriptions, kDeployments, queue);
  watch_owned(context_.subscriptions, kReplicaSets, "Deployment", queue);
  context_.subscriptions.subscribe(
      kReplicaSets, [this, &queue](const auto& change) { orphan_changed(change, queue); });
  context_.subscriptions.subscribe(
      kPods, [this, &queue](const auto& change) { pod_changed(change, queue); });
}

// A ReplicaSet without a controller concerns every Deployment that selects it.
void DeploymentController::orphan_changed(const client::ObjectReader::Change& change,
                                          WorkQueue& queue) const {
  if (!change.object || change.object->meta().controller()) return;
  const Meta& set = change.object->meta();
  bool new_orphan = !change.previous || change.previous->meta().controller() ||
                    change.previous->meta().labels != set.labels;
  if (!new_orphan || set.labels.empty()) return;
  for (const ObjectPtr& deployment : context_.reader.list(kDeployments, set.ns)) {
    if (deployment->view<DeploymentView>().selector.matches(set.labels))
      queue.add({deployment->ns(), deployment->name()});
  }
}

// Recreate waits for the end of old pods, which the status of a ReplicaSet does not tell.
void DeploymentController::pod_changed(const client::ObjectReader::Change& change,
                                       WorkQueue& queue) const {
  const OwnerReference* owner = change.any().meta().controller();
  if (!owner || owner->kind != "ReplicaSet") return;
  bool ended = !change.object || change.object->view<resources::PodView>().is_finished();
  if (!ended) return;
  ObjectPtr set = context_.reader.get(kReplicaSets, change.any().ns(), owner->name);
  const OwnerReference* above = set ? set->meta().controller() : nullptr;
  if (!above || above->kind != "Deployment") return;
  ObjectPtr deployment = context_.reader.get(kDeployments, set->ns(), above->name);
  if (deployment && deployment->view<DeploymentView>().recreate)
    queue.add({deployment->ns(), deployment->name()});
}

std::vector<ObjectPtr> DeploymentController::live_pods(const std::vector<ObjectPtr>& sets) const {
  std::set<std::string> uids;
  for (const ObjectPtr& set : sets) uids.insert(set->uid());
  std::vector<ObjectPtr> pods;
  if (sets.empty()) return pods;
  for (ObjectPtr& pod : context_.reader.list(kPods, sets.front()->ns())) {
    const OwnerReference* owner = pod->meta().controller();
    if (!owner || !uids.contains(owner->uid)) continue;
    if (!pod->view<resources::PodView>().is_finished()) pods.push_back(std::move(pod));
  }
  return pods;
}

Task<Result<DeploymentInputs>> DeploymentController::gather(ObjectPtr deployment) {
  const auto& view = deployment->view<DeploymentView>();
  DeploymentInputs inputs;
  inputs.deployment = deployment;
  MOTH_CO_ASSIGN(inputs.sets, co_await claim(context_.reader, context_.client, kDeployments,
                                             deployment, view.selector, kReplicaSets,
                                             context_.reader.list(kReplicaSets, deployment->ns())));
  if (view.recreate) inputs.live_pods = live_pods(inputs.sets);
  inputs.now = context_.clock.wall();
  co_return inputs;
}

Task<Result<Requeue>> DeploymentController::reconcile(Key key) {
  for (int round = 0; round < kMaxRounds; ++round) {
    ObjectPtr deployment = context_.reader.get(kDeployments, key.ns, key.name);
    if (!deployment) co_return Requeue{};
    MOTH_CO_ASSIGN(DeploymentInputs inputs, co_await gather(deployment));
    DeploymentPlan plan = plan_deployment(inputs);
    std::optional<Duration> requeue = plan.requeue;
    if (plan.create) {
      MOTH_CO_TRY(co_await create_set(inputs, std::move(plan)));
      continue;
    }
    MOTH_CO_TRY(co_await apply(inputs, std::move(plan)));
    co_return Requeue{requeue};
  }
  // Hashes clash again and again, or somebody deletes what is created.
  co_return Requeue{std::chrono::seconds(1)};
}

Task<Result<>> DeploymentController::create_set(const DeploymentInputs& inputs,
                                                DeploymentPlan plan) {
  const Object& deployment = *inputs.deployment;
  auto created =
      co_await context_.client.create(kReplicaSets, deployment.ns(), *plan.create, write_options());
  if (!created && created.error().reason == Reason::kAlreadyExists) {
    co_return co_await name_taken(inputs, *plan.create, created.error());
  }
  if (!created) {
    if (is_namespace_terminating(created.error())) co_return fail(created.error());
    std::string message =
        fmt::format("Failed to create new replica set \"{}\": {}",
                    (*plan.create)["metadata"]["name"].get<std::string>(), created.error().message);
    (void)co_await write_status(inputs.deployment, status_of_failed_create(inputs, message), "");
    context_.events.record(deployment, EventType::kWarning, "ReplicaSetCreateError", message);
    co_return fail(created.error());
  }
  if (std::int64_t replicas = int_or((*plan.create)["spec"], "replicas"); replicas > 0) {
    context_.events.record(
        deployment, EventType::kNormal, "ScalingReplicaSet",
        fmt::format("Scaled up replica set {} from 0 to {}", (*created)->name(), replicas));
  }
  co_return co_await write_status(inputs.deployment, std::move(plan.status),
                                  std::move(plan.revision));
}

// The name is taken: by our own set, made before a crash, or by a set of another template.
Task<Result<>> DeploymentController::name_taken(const DeploymentInputs& inputs, const Json& wanted,
                                                Error why) {
  const Object& deployment = *inputs.deployment;
  ObjectPtr there = context_.reader.get(kReplicaSets, deployment.ns(),
                                        wanted["metadata"]["name"].get<std::string>());
  if (!there) co_return fail(std::move(why));
  const OwnerReference* owner = there->meta().controller();
  Json theirs = resources::object_of(resources::object_of(*there->dom(), "spec"), "template");
  if (owner && owner->uid == deployment.uid() &&
      same_template(theirs, wanted["spec"]["template"])) {
    co_return Result<>{};
  }
  log::info("a replica set of another template has the name; taking another hash",
            log::field("deployment", deployment.meta().key()),
            log::field("replicaset", there->name()));
  co_return co_await write_status(inputs.deployment, status_of_collision(deployment), "");
}

Task<Result<>> DeploymentController::apply(const DeploymentInputs& inputs, DeploymentPlan plan) {
  for (SetChange& change : plan.changes) {
    MOTH_CO_TRY(co_await resize(inputs.deployment, std::move(change)));
  }
  for (const ObjectPtr& set : plan.remove) {
    client::DeleteOptions options;
    options.precondition_uid = set->uid();
    options.propagation_policy = "Background";
    auto removed = co_await context_.client.remove(kReplicaSets, set->ns(), set->name(), options);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
  }
  co_return co_await write_status(inputs.deployment, std::move(plan.status),
                                  std::move(plan.revision));
}

Task<Result<>> DeploymentController::resize(ObjectPtr deployment, SetChange change) {
  std::int32_t before = static_cast<std::int32_t>(
      int_or(resources::object_of(*change.set->dom(), "spec"), "replicas"));
  auto written = co_await context_.client.update(kReplicaSets, change.set->ns(), change.set->name(),
                                                 std::move(change.object), write_options());
  if (!written) co_return fail(written.error());
  if (change.replicas != before) {
    context_.events.record(*deployment, EventType::kNormal, "ScalingReplicaSet",
                           fmt::format("Scaled {} replica set {} from {} to {}",
                                       change.replicas > before ? "up" : "down", change.set->name(),
                                       before, change.replicas));
  }
  co_return Result<>{};
}

// An empty revision leaves the annotation as it is.
Task<Result<>> DeploymentController::write_status(ObjectPtr deployment, Json status,
                                                  std::string revision) {
  bool same_revision =
      revision.empty() || deployment->meta().annotation(kRevisionAnnotation) == revision;
  Json object = deployment->parse();
  if (same_revision && resources::object_of(object, "status") == status) co_return Result<>{};
  object["status"] = std::move(status);
  if (!same_revision) object["metadata"]["annotations"][kRevisionAnnotation] = revision;
  auto written = co_await context_.client.update(kDeployments, deployment->ns(), deployment->name(),
                                                 std::move(object), write_options("status"));
  if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
  co_return Result<>{};
}

}  // namespace

std::unique_ptr<Controller> make_deployment_controller(ControllerContext context) {
  return std::make_unique<DeploymentController>(context);
}

}  // namespace moth::controllers
