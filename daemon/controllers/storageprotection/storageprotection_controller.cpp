#include "daemon/controllers/storageprotection/storageprotection_controller.h"

#include <algorithm>
#include <set>

#include "api/base/json.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/edit.h"

namespace moth::controllers {
namespace {

const Gvr kClaims{"", "v1", "persistentvolumeclaims"};
const Gvr kVolumes{"", "v1", "persistentvolumes"};

// Claims by name, those that ephemeral volumes make included.
std::set<std::string> claims_of(const Object& pod) {
  std::set<std::string> names;
  const Json whole = pod.parse();
  for (const Json& volume : resources::items(resources::object_of(whole, "spec"), "volumes")) {
    std::string name =
        string_or(resources::object_of(volume, "persistentVolumeClaim"), "claimName");
    if (!name.empty()) names.insert(name);
    if (volume.contains("ephemeral")) names.insert(pod.name() + "-" + string_or(volume, "name"));
  }
  return names;
}

// Keys are claims, and volumes with an empty namespace.
class StorageProtectionController final : public Controller {
 public:
  explicit StorageProtectionController(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "storageprotection"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, kClaims, queue);
    watch_own(context_.subscriptions, kVolumes, queue);
    context_.subscriptions.subscribe(
        client::gvr::kPods, [&queue](const client::ObjectReader::Change& change) {
          bool over = !change.object || change.object->view<resources::PodView>().is_finished();
          if (!over) return;
          for (const std::string& claim : claims_of(change.any()))
            queue.add({change.any().ns(), claim});
        });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    const Gvr& gvr = key.ns.empty() ? kVolumes : kClaims;
    const char* finalizer =
        key.ns.empty() ? "kubernetes.io/pv-protection" : "kubernetes.io/pvc-protection";
    ObjectPtr object = context_.reader.get(gvr, key.ns, key.name);
    if (!object || !object->meta().deletion_time) co_return Requeue{};
    const auto& held = object->meta().finalizers;
    if (std::find(held.begin(), held.end(), finalizer) == held.end()) co_return Requeue{};
    if (key.ns.empty() ? is_bound(*object) : is_used(key)) co_return Requeue{};
    Json changed = object->parse();
    Json& finalizers = changed["metadata"]["finalizers"];
    finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), Json(finalizer)),
                     finalizers.end());
    auto written = co_await context_.client.update(gvr, key.ns, key.name, std::move(changed));
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Requeue{};
  }

 private:
  static bool is_bound(const Object& volume) {
    const Json whole = volume.parse();
    return string_or(resources::object_of(whole, "status"), "phase") == "Bound";
  }

  // A pod without a node has mounted nothing yet.
  bool is_used(const Key& claim) const {
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods, claim.ns)) {
      const auto& view = pod->view<resources::PodView>();
      if (view.node_name().empty() || view.is_finished()) continue;
      if (claims_of(*pod).contains(claim.name)) return true;
    }
    return false;
  }

  ControllerContext context_;
};

}  // namespace

std::unique_ptr<Controller> make_storageprotection_controller(ControllerContext context) {
  return std::make_unique<StorageProtectionController>(context);
}

}  // namespace moth::controllers
