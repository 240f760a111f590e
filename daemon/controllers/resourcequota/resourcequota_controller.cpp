#include "daemon/controllers/resourcequota/resourcequota_controller.h"

#include "api/base/json.h"
#include "api/resources/quota/ledger.h"

namespace moth::controllers {
namespace {

namespace quota = resources::quota;

const Gvr kQuotas{"", "v1", "resourcequotas"};
// What depends on time alone (pods whose grace period is over) is seen by then [upstream].
constexpr auto kResync = std::chrono::seconds(300);

class ResourceQuotaController final : public Controller {
 public:
  ResourceQuotaController(ControllerContext context, resources::Registry& registry)
      : context_(context),
        registry_(registry),
        ledger_([this](const auto& resource, const auto& ns) { return list(resource, ns); },
                [this](const auto& resource) { return watch(resource); }) {}
  std::string_view name() const override { return "resourcequota"; }

  void subscribe(WorkQueue& queue) override {
    queue_ = &queue;
    context_.subscriptions.subscribe(kQuotas, [this](const client::ObjectReader::Change& change) {
      const Object& any = change.any();
      ledger_.set_quota(any.ns(), any.name(), change.object);
      if (change.object) queue_->add({any.ns(), any.name()});
    });
    for (const ObjectPtr& object : context_.reader.list(kQuotas)) {
      ledger_.set_quota(object->ns(), object->name(), object);
      queue.add({object->ns(), object->name()});
    }
    registry_.on_change([this] {
      ledger_.resources_changed();
      for (const ObjectPtr& object : context_.reader.list(kQuotas))
        queue_->add({object->ns(), object->name()});
    });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr object = context_.reader.get(kQuotas, key.ns, key.name);
    if (!object || object->meta().deletion_time) co_return Requeue{};
    const resources::ResourceList* used = ledger_.used(key.ns, key.name, context_.clock.wall());
    if (!used) co_return Requeue{};
    Json changed = object->parse();
    Json status = {{"hard", Json::object()}, {"used", resources::to_json(*used)}};
    if (const Json* hard = find_path(changed, "spec", "hard")) status["hard"] = *hard;
    if (const Json* now = find_member(changed, "status"); now && *now == status)
      co_return Requeue{kResync};
    changed["status"] = std::move(status);
    changed["metadata"].erase("resourceVersion");
    client::WriteOptions options;
    options.subresource = "status";
    auto written =
        co_await context_.client.update(kQuotas, key.ns, key.name, std::move(changed), options);
    if (!written && written.error().reason != Reason::kNotFound) co_return fail(written.error());
    co_return Requeue{kResync};
  }

 private:
  std::vector<ObjectPtr> list(const std::string& qualified, const std::string& ns) {
    const resources::ResourceDef* def = registry_.find_stored(qualified);
    return def ? context_.reader.list(def->gvr(), ns) : std::vector<ObjectPtr>();
  }

  bool watch(const std::string& qualified) {
    const resources::ResourceDef* def = registry_.find_stored(qualified);
    if (!def || !def->namespaced) return false;
    context_.subscriptions.subscribe(
        def->gvr(), [this, qualified](const client::ObjectReader::Change& change) {
          const Object& any = change.any();
          if (!ledger_.has_quota(any.ns())) return;
          ledger_.change(qualified, any.ns(), any.uid(), change.object.get());
          for (const ObjectPtr& one : ledger_.quotas(any.ns()))
            queue_->add({any.ns(), one->name()});
        });
    return true;
  }

  ControllerContext context_;
  resources::Registry& registry_;
  quota::Ledger ledger_;
  WorkQueue* queue_ = nullptr;
};

}  // namespace

std::unique_ptr<Controller> make_resourcequota_controller(ControllerContext context,
                                                          resources::Registry& registry) {
  return std::make_unique<ResourceQuotaController>(context, registry);
}

}  // namespace moth::controllers
