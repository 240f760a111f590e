#include "daemon/controllers/namespace/namespace_controller.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <set>

#include "api/base/json.h"
#include "api/resources/conditions.h"

namespace moth::controllers {
namespace {

constexpr std::array<const char*, 4> kSystemNamespaces = {"default", "kube-system", "kube-public",
                                                          "kube-node-lease"};
// Content that goes by itself (terminating pods) is looked at again after so long; its deletion
// also brings the key back at once.
constexpr auto kLookAgain = std::chrono::seconds(5);

struct Remaining {
  std::map<std::string, int> resources;   // "deployments.apps", "pods." > objects
  std::map<std::string, int> finalizers;  // finalizer > objects
  bool empty() const { return resources.empty(); }
};

class NamespaceController final : public Controller {
 public:
  NamespaceController(ControllerContext context, resources::Registry& registry)
      : context_(context), registry_(registry) {}
  std::string_view name() const override { return "namespace"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, client::gvr::kNamespaces, queue);
    watch_content(queue);
    // Kinds that a CustomResourceDefinition brings later.
    registry_.on_change([this, &queue] { watch_content(queue); });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr ns = context_.reader.get(client::gvr::kNamespaces, "", key.name);
    if (!ns) co_return co_await restore(key.name);
    if (!ns->meta().deletion_time) co_return Requeue{};
    Remaining remaining;
    // Pods first, everything else when they are gone.
    MOTH_CO_TRY(co_await empty(key.name, true, remaining));
    if (remaining.empty()) MOTH_CO_TRY(co_await empty(key.name, false, remaining));
    if (!remaining.empty()) {
      MOTH_CO_TRY(co_await report(*ns, remaining));
      co_return Requeue{kLookAgain};
    }
    Json draft = ns->parse();
    draft["spec"]["finalizers"] = Json::array();
    draft["metadata"].erase("resourceVersion");
    client::WriteOptions options;
    options.subresource = "finalize";
    auto done = co_await context_.client.update(client::gvr::kNamespaces, "", key.name,
                                                std::move(draft), options);
    if (!done && done.error().reason != Reason::kNotFound) co_return fail(done.error());
    co_return Requeue{};
  }

 private:
  static bool holds_content(const resources::ResourceDef& def) {
    return def.namespaced && def.is_storage() && def.durability != resources::Durability::kVirtual;
  }

  void watch_content(WorkQueue& queue) {
    for (const auto* def : registry_.all()) {
      // A table outlives its rows, so one subscription for each is for good.
      if (!holds_content(*def) || !watched_.insert(def->qualified()).second) continue;
      context_.subscriptions.subscribe(
          def->gvr(), [this, &queue](const client::ObjectReader::Change& change) {
            if (change.object) return;
            ObjectPtr ns = context_.reader.get(client::gvr::kNamespaces, "", change.any().ns());
            if (ns && ns->meta().deletion_time) queue.add({"", ns->name()});
          });
    }
  }

  Task<Result<Requeue>> restore(std::string name) {
    bool system = false;
    for (const char* known : kSystemNamespaces) system = system || name == known;
    if (!system) co_return Requeue{};
    Json ns = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    auto created = co_await context_.client.create(client::gvr::kNamespaces, "", std::move(ns));
    if (!created && created.error().reason != Reason::kAlreadyExists)
      co_return fail(created.error());
    co_return Requeue{};
  }

  Task<Result<>> empty(std::string ns, bool pods, Remaining& remaining) {
    for (const auto* def : registry_.all()) {
      if (!holds_content(*def)) continue;
      bool is_pods = def->resource == "pods" && def->group.empty();
      if (is_pods != pods) continue;
      for (const ObjectPtr& object : context_.reader.list(def->gvr(), ns)) {
        if (!object->meta().deletion_time) {
          client::DeleteOptions options;
          options.propagation_policy = "Background";
          auto removed = co_await context_.client.remove(def->gvr(), ns, object->name(), options);
          if (!removed && removed.error().reason != Reason::kNotFound)
            co_return fail(removed.error());
          if (!removed || !*removed) continue;
        }
        ++remaining.resources[fmt::format("{}.{}", def->resource, def->group)];
        for (const std::string& finalizer : object->meta().finalizers)
          ++remaining.finalizers[finalizer];
      }
    }
    co_return Result<>{};
  }

  Task<Result<>> report(const Object& ns, const Remaining& remaining) {
    Json draft = ns.parse();
    Json& status = draft["status"];
    WallTime now = context_.clock.wall();
    bool changed = false;
    // What cannot go wrong here is said all the same, as tools that explain stuck namespaces
    // expect.
    for (const resources::ConditionUpdate& fine :
         {resources::ConditionUpdate{"NamespaceDeletionDiscoveryFailure", "False",
                                     "ResourcesDiscovered", "All resources successfully discovered",
                                     std::nullopt},
          resources::ConditionUpdate{"NamespaceDeletionGroupVersionParsingFailure", "False",
                                     "ParsedGroupVersions",
                                     "All legacy kube types successfully parsed", std::nullopt},
          resources::ConditionUpdate{"NamespaceDeletionContentFailure", "False", "ContentDeleted",
                                     "All content successfully deleted, may be waiting on "
                                     "finalization",
                                     std::nullopt}}) {
      changed = resources::set_condition(status, fine, now) || changed;
    }
    std::vector<std::string> parts;
    for (const auto& [resource, count] : remaining.resources) {
      parts.push_back(fmt::format("{} has {} resource instances", resource, count));
    }
    changed |= resources::set_condition(
        status,
        {"NamespaceContentRemaining", "True", "SomeResourcesRemain",
         fmt::format("Some resources are remaining: {}", fmt::join(parts, ", ")), std::nullopt},
        now);
    parts.clear();
    for (const auto& [finalizer, count] : remaining.finalizers) {
      parts.push_back(fmt::format("{} in {} resource instances", finalizer, count));
    }
    resources::ConditionUpdate finalizers{
        "NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers",
        "All content-preserving finalizers finished", std::nullopt};
    if (!parts.empty()) {
      finalizers.status = "True";
      finalizers.reason = "SomeFinalizersRemain";
      finalizers.message = fmt::format("Some content in the namespace has finalizers remaining: {}",
                                       fmt::join(parts, ", "));
    }
    changed = resources::set_condition(status, finalizers, now) || changed;
    if (!changed) co_return Result<>{};
    draft["metadata"].erase("resourceVersion");
    client::WriteOptions options;
    options.subresource = "status";
    auto written = co_await context_.client.update(client::gvr::kNamespaces, "", ns.name(),
                                                   std::move(draft), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Result<>{};
  }

  ControllerContext context_;
  resources::Registry& registry_;
  std::set<std::string> watched_;  // qualified names
};

}  // namespace

std::unique_ptr<Controller> make_namespace_controller(ControllerContext context,
                                                      resources::Registry& registry) {
  return std::make_unique<NamespaceController>(context, registry);
}

}  // namespace moth::controllers
