#include "daemon/controllers/disruption/disruption_controller.h"

#include <fmt/format.h>

#include <set>

#include "api/base/json.h"
#include "api/client/event_recorder.h"
#include "api/resources/policy_v1/pod_disruption_budget_view.h"
#include "daemon/controllers/disruption/disruption_plan.h"

namespace moth::controllers {
namespace {

using resources::PodDisruptionBudgetView;

const Gvr kBudgets{"policy", "v1", "poddisruptionbudgets"};

struct Owner {
  ObjectPtr object;
  const resources::ResourceDef* def = nullptr;
};

class DisruptionController final : public Controller {
 public:
  DisruptionController(ControllerContext context, resources::Registry& registry)
      : context_(context), registry_(registry) {}
  std::string_view name() const override { return "disruption"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, kBudgets, queue);
    context_.subscriptions.subscribe(
        client::gvr::kPods, [this, &queue](const client::ObjectReader::Change& change) {
          for (const ObjectPtr& budget : context_.reader.list(kBudgets, change.any().ns())) {
            const auto& selector = budget->view<PodDisruptionBudgetView>().selector;
            bool concerned = (change.object && selector.matches(change.object->meta().labels)) ||
                             (change.previous && selector.matches(change.previous->meta().labels));
            if (concerned) queue.add({budget->ns(), budget->name()});
          }
        });
    // Whatever scales pods; budgets are few.
    for (const resources::ResourceDef* def : registry_.all()) {
      if (def->scale_spec_replicas.empty() || !def->is_storage() || def->custom) continue;
      context_.subscriptions.subscribe(
          def->gvr(), [this, &queue](const client::ObjectReader::Change& change) {
            if (change.object && change.previous &&
                change.object->meta().generation == change.previous->meta().generation)
              return;
            for (const ObjectPtr& budget : context_.reader.list(kBudgets, change.any().ns()))
              queue.add({budget->ns(), budget->name()});
          });
    }
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr budget = context_.reader.get(kBudgets, key.ns, key.name);
    if (!budget || budget->meta().deletion_time) co_return Requeue{};
    const auto& selector = budget->view<PodDisruptionBudgetView>().selector;
    std::vector<ObjectPtr> pods;
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods, key.ns)) {
      if (selector.matches(pod->meta().labels)) pods.push_back(pod);
    }
    if (pods.empty()) {
      context_.events.record(*budget, client::EventType::kNormal, "NoPods",
                             "No matching pods found");
    }
    WallTime now = context_.clock.wall();
    auto plan = make_plan(*budget, pods, now);
    if (!plan) {
      std::string why = plan.error().message;
      context_.events.record(*budget, client::EventType::kWarning,
                             "CalculateExpectedPodCountFailed",
                             "Failed to calculate the number of expected pods: " + why);
      co_return co_await write(budget, failed_status(*budget, why, now), Requeue{});
    }
    for (const std::string& pod : plan->not_deleted) {
      context_.events.record(
          *budget, client::EventType::kWarning, "NotDeleted",
          fmt::format("Pod {}/{} was expected by PDB {}/{} to be deleted but it wasn't", key.ns,
                      pod, key.ns, key.name));
    }
    co_return co_await write(budget, std::move(plan->status), Requeue{plan->recheck});
  }

 private:
  Result<BudgetStatus> make_plan(const Object& budget, const std::vector<ObjectPtr>& pods,
                                 WallTime now) {
    ScaleSum scale;
    if (needs_scale(budget)) {
      MOTH_ASSIGN(scale, scale_of(pods));
    }
    if (scale.unmanaged) {
      context_.events.record(
          budget, client::EventType::kWarning, "UnmanagedPods",
          "Pods selected by this PodDisruptionBudget were found to be unmanaged. As a result, the "
          "status of the PDB cannot be calculated correctly, which may result in undefined "
          "behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB "
          "to an integer value.");
    }
    return plan_budget(budget, pods, scale, now);
  }

  // What the controllers of these pods want, each counted once.
  Result<ScaleSum> scale_of(const std::vector<ObjectPtr>& pods) const {
    ScaleSum sum;
    std::set<std::string> seen;
    for (const ObjectPtr& pod : pods) {
      const OwnerReference* reference = pod->meta().controller();
      if (!reference) {
        sum.unmanaged = true;
        continue;
      }
      MOTH_ASSIGN(Owner owner, scalable_owner(*pod, *reference));
      if (!seen.insert(owner.object->uid()).second) continue;
      const Json whole = owner.object->parse();
      Json::json_pointer where(owner.def->scale_spec_replicas);
      const Json* replicas = whole.contains(where) ? &whole.at(where) : nullptr;
      // A number that is not given is one [defaults of all built-in kinds].
      sum.replicas += replicas && replicas->is_number_integer() ? replicas->get<std::int32_t>() : 1;
    }
    return sum;
  }

  // The Deployment of a ReplicaSet, and else the controller itself.
  Result<Owner> scalable_owner(const Object& pod, const OwnerReference& reference) const {
    Owner owner = find(pod.ns(), reference);
    if (!owner.object || owner.def->scale_spec_replicas.empty()) {
      return fail(Error::bad_request(
          fmt::format("found no controllers for pod \"{}\": {} {} does not implement the scale "
                      "subresource",
                      pod.name(), reference.kind, reference.name)));
    }
    if (owner.def->resource == "replicasets" && owner.def->group == "apps") {
      if (const OwnerReference* above = owner.object->meta().controller()) {
        Owner parent = find(pod.ns(), *above);
        if (parent.object && !parent.def->scale_spec_replicas.empty()) return parent;
      }
    }
    return owner;
  }

  Owner find(const std::string& ns, const OwnerReference& reference) const {
    Gvk kind = Gvk::of(reference.api_version, reference.kind);
    const resources::ResourceDef* def = registry_.find_kind(kind);
    if (!def) return {};
    ObjectPtr object = context_.reader.get(def->gvr(), def->namespaced ? ns : "", reference.name);
    if (!object || object->uid() != reference.uid) return {};
    return {object, def};
  }

  // With the version that was read: an eviction that was granted meanwhile must not be forgotten.
  Task<Result<Requeue>> write(ObjectPtr budget, Json status, Requeue after) {
    Json changed = budget->parse();
    if (const Json* known = find_member(changed, "status"); known && *known == status)
      co_return after;
    changed["status"] = std::move(status);
    client::WriteOptions options;
    options.subresource = "status";
    auto written = co_await context_.client.update(kBudgets, budget->ns(), budget->name(),
                                                   std::move(changed), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return after;
  }

  ControllerContext context_;
  resources::Registry& registry_;
};

}  // namespace

std::unique_ptr<Controller> make_disruption_controller(ControllerContext context,
                                                       resources::Registry& registry) {
  return std::make_unique<DisruptionController>(context, registry);
}

}  // namespace moth::controllers
