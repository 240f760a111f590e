#include "daemon/controllers/garbagecollector/garbagecollector_controller.h"

#include <algorithm>
#include <map>
#include <set>

#include "api/base/json.h"
#include "daemon/controllers/garbagecollector/garbagecollector_plan.h"

namespace moth::controllers {
namespace {

using resources::ResourceDef;

class GarbageCollector final : public Controller {
 public:
  GarbageCollector(ControllerContext context, resources::Registry& registry)
      : context_(context), registry_(registry) {}
  std::string_view name() const override { return "garbagecollector"; }

  void subscribe(WorkQueue& queue) override {
    watch_all(queue);
    // Kinds that a CustomResourceDefinition brings later.
    registry_.on_change([this, &queue] { watch_all(queue); });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    auto slash = key.ns.find('/');
    auto rows = registry_.snapshot();  // keeps the row over every wait
    const ResourceDef* def = registry_.find_stored(key.ns.substr(0, slash));
    if (!def) co_return Requeue{};
    ObjectPtr object = context_.reader.get(def->gvr(), key.ns.substr(slash + 1), key.name);
    if (!object) co_return Requeue{};
    auto dependents = dependents_of(object->uid());
    std::size_t blocking = 0;
    for (const auto& [resource, dependent] : dependents) {
      for (const OwnerReference& owner : dependent->meta().owners) {
        if (owner.uid == object->uid() && owner.block_owner_deletion) ++blocking;
      }
    }
    std::vector<OwnerState> owners;
    for (const OwnerReference& owner : object->meta().owners)
      owners.push_back(state_of(*object, owner));
    CollectionPlan plan = plan_collection(object->meta(), owners, dependents.size(), blocking);
    switch (plan.action) {
      case CollectionPlan::Action::kNone:
        co_return Requeue{};
      case CollectionPlan::Action::kDelete:
        co_return co_await remove(*def, *object, plan.foreground);
      case CollectionPlan::Action::kDropOwners:
        co_return co_await drop_owners(*def, *object, plan.drop_owners);
      case CollectionPlan::Action::kReleaseOwner:
        co_return co_await release(*def, *object);
      case CollectionPlan::Action::kOrphanDependents:
        for (const auto& [resource, dependent] : dependents) {
          auto done = co_await drop_owners(*resource, *dependent, {object->uid()});
          if (!done) co_return done;
        }
        co_return Requeue{};
    }
    co_return Requeue{};
  }

 private:
  void watch_all(WorkQueue& queue) {
    for (const ResourceDef* def : registry_.all()) {
      if (!def->is_storage() || def->durability == resources::Durability::kVirtual) continue;
      // A table outlives its rows, so one subscription for each is for good.
      std::string resource = def->qualified();
      if (!watched_.insert(resource).second) continue;
      context_.subscriptions.subscribe(
          def->gvr(), [this, resource, &queue](const client::ObjectReader::Change& change) {
            if (const ResourceDef* row = registry_.find_stored(resource)) note(*row, change, queue);
          });
      for (const ObjectPtr& object : context_.reader.list(def->gvr()))
        note(*def, {object, nullptr}, queue);
    }
  }

  using Dependent = std::pair<const ResourceDef*, ObjectPtr>;

  static Key key_of(const ResourceDef& def, const Object& object) {
    return {def.qualified() + "/" + object.ns(), object.name()};
  }

  void note(const ResourceDef& def, const client::ObjectReader::Change& change, WorkQueue& queue) {
    const Object& object = change.any();
    if (change.previous) forget(def, *change.previous);
    if (change.object) remember(def, *change.object);
    if (change.object && (!object.meta().owners.empty() || object.meta().deletion_time))
      queue.add(key_of(def, object));
    // Its dependents may have lost their owner, or got one that waits for them.
    bool ends = !change.object || object.meta().deletion_time;
    if (auto it = dependents_.find(object.uid()); ends && it != dependents_.end()) {
      for (const auto& [resource, ns, name] : it->second) queue.add({resource + "/" + ns, name});
    }
    // An owner that waits for its dependents is looked at when one is gone or lets go of it.
    if (!change.previous) return;
    for (const OwnerReference& owner : change.previous->meta().owners) {
      const ResourceDef* owner_def = def_of(owner);
      if (owner_def && !(change.object && refers_to(*change.object, owner.uid)))
        queue.add({owner_def->qualified() + "/" + (owner_def->namespaced ? object.ns() : ""),
                   owner.name});
    }
  }

  static bool refers_to(const Object& object, const std::string& uid) {
    const auto& owners = object.meta().owners;
    return std::any_of(owners.begin(), owners.end(),
                       [&](const OwnerReference& owner) { return owner.uid == uid; });
  }

  void remember(const ResourceDef& def, const Object& object) {
    for (const OwnerReference& owner : object.meta().owners) {
      dependents_[owner.uid].insert({def.qualified(), object.ns(), object.name()});
    }
  }

  void forget(const ResourceDef& def, const Object& object) {
    for (const OwnerReference& owner : object.meta().owners) {
      auto it = dependents_.find(owner.uid);
      if (it == dependents_.end()) continue;
      it->second.erase({def.qualified(), object.ns(), object.name()});
      if (it->second.empty()) dependents_.erase(it);
    }
  }

  const ResourceDef* def_of(const OwnerReference& owner) const {
    const ResourceDef* row = registry_.find_kind(Gvk::of(owner.api_version, owner.kind));
    bool stored = row && row->durability != resources::Durability::kVirtual;
    return stored ? row->storage_def : nullptr;
  }

  OwnerState state_of(const Object& object, const OwnerReference& owner) const {
    const ResourceDef* def = def_of(owner);
    // A kind that is not served cannot be told to be absent.
    if (!def) return OwnerState::kLives;
    if (def->namespaced && object.ns().empty())
      return OwnerState::kLives;  // unresolvable: never collected
    ObjectPtr found =
        context_.reader.get(def->gvr(), def->namespaced ? object.ns() : "", owner.name);
    if (!found || found->uid() != owner.uid) return OwnerState::kAbsent;
    const auto& finalizers = found->meta().finalizers;
    bool foreground =
        found->meta().deletion_time &&
        std::find(finalizers.begin(), finalizers.end(), "foregroundDeletion") != finalizers.end();
    return foreground ? OwnerState::kForeground : OwnerState::kLives;
  }

  std::vector<Dependent> dependents_of(const std::string& uid) const {
    std::vector<Dependent> found;
    auto it = dependents_.find(uid);
    if (it == dependents_.end()) return found;
    for (const auto& [resource, ns, name] : it->second) {
      const ResourceDef* def = registry_.find_stored(resource);
      if (!def) continue;
      if (ObjectPtr object = context_.reader.get(def->gvr(), ns, name))
        found.emplace_back(def, object);
    }
    return found;
  }

  Task<Result<Requeue>> remove(const ResourceDef& def, const Object& object, bool foreground) {
    client::DeleteOptions options;
    options.propagation_policy = foreground ? "Foreground" : "Background";
    options.precondition_uid = object.uid();
    auto removed = co_await context_.client.remove(def.gvr(), object.ns(), object.name(), options);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Requeue{};
  }

  Task<Result<Requeue>> drop_owners(const ResourceDef& def, const Object& object,
                                    std::vector<std::string> uids) {
    const Json before = object.parse();
    Json kept = Json::array();
    for (const Json& owner : before.at("metadata").at("ownerReferences")) {
      if (std::find(uids.begin(), uids.end(), string_or(owner, "uid")) == uids.end())
        kept.push_back(owner);
    }
    Json patch = {{"metadata",
                   {{"uid", object.uid()},
                    {"ownerReferences", kept.empty() ? Json(nullptr) : std::move(kept)}}}};
    co_return co_await merge(def, object, std::move(patch));
  }

  // Takes the finalizers of deletion policies off.
  Task<Result<Requeue>> release(const ResourceDef& def, const Object& object) {
    Json kept = Json::array();
    for (const std::string& finalizer : object.meta().finalizers) {
      if (finalizer != "orphan" && finalizer != "foregroundDeletion") kept.push_back(finalizer);
    }
    Json patch = {
        {"metadata",
         {{"uid", object.uid()}, {"finalizers", kept.empty() ? Json(nullptr) : std::move(kept)}}}};
    co_return co_await merge(def, object, std::move(patch));
  }

  Task<Result<Requeue>> merge(const ResourceDef& def, const Object& object, Json patch) {
    auto written = co_await context_.client.patch(def.gvr(), object.ns(), object.name(),
                                                  client::PatchType::kMerge, std::move(patch));
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Requeue{};
  }

  ControllerContext context_;
  resources::Registry& registry_;
  std::set<std::string> watched_;  // qualified names
  // Owner's uid > (resource, namespace, name) of what refers to it.
  std::map<std::string, std::set<std::tuple<std::string, std::string, std::string>>> dependents_;
};

}  // namespace

std::unique_ptr<Controller> make_garbagecollector_controller(ControllerContext context,
                                                             resources::Registry& registry) {
  return std::make_unique<GarbageCollector>(context, registry);
}

}  // namespace moth::controllers
