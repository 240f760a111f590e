#include "daemon/controllers/endpoints/endpoints_controller.h"

#include "api/base/json.h"
#include "daemon/controllers/endpoints/slice_plan.h"

namespace moth::controllers {
namespace {

using resources::ServiceView;

class EndpointsController final : public Controller {
 public:
  explicit EndpointsController(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "endpoints"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, client::gvr::kServices, queue);
    watch_owned(context_.subscriptions, client::gvr::kEndpointSlices, "Service", queue);
    context_.subscriptions.subscribe(
        client::gvr::kPods, [this, &queue](const client::ObjectReader::Change& change) {
          const Labels* now = change.object ? &change.object->meta().labels : nullptr;
          const Labels* before = change.previous ? &change.previous->meta().labels : nullptr;
          for (const ObjectPtr& service :
               context_.reader.list(client::gvr::kServices, change.any().ns())) {
            const auto& view = service->view<ServiceView>();
            if (!view.has_selector()) continue;
            LabelSelector selector = LabelSelector::from_map(*view.selector);
            bool concerned =
                (now && selector.matches(*now)) || (before && selector.matches(*before));
            if (concerned) queue.add({service->ns(), service->name()});
          }
        });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr service = context_.reader.get(client::gvr::kServices, key.ns, key.name);
    if (!service) co_return co_await remove_endpoints(key);
    const auto& view = service->view<ServiceView>();
    bool external = view.type == resources::ServiceType::kExternalName;
    if (!view.has_selector() || external || service->meta().deletion_time) co_return Requeue{};
    LabelSelector selector = LabelSelector::from_map(*view.selector);
    std::vector<ObjectPtr> pods;
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods, key.ns)) {
      if (selector.matches(pod->meta().labels)) pods.push_back(pod);
    }
    MOTH_CO_TRY(co_await write_slices(*service, pods));
    MOTH_CO_TRY(co_await write_endpoints(*service, pods));
    co_return Requeue{};
  }

 private:
  // An update of what was deleted meanwhile would create it, which its resourceVersion forbids: a
  // change under our hands like any conflict, judged anew.
  Error failure(const Gvr& gvr, const std::string& ns, const std::string& name,
                const Error& error) const {
    if (context_.reader.get(gvr, ns, name)) return error;
    return Error::modified(gvr.qualified(), name);
  }

  std::vector<ObjectPtr> slices_of(const Object& service) const {
    std::vector<ObjectPtr> slices;
    for (const ObjectPtr& slice :
         context_.reader.list(client::gvr::kEndpointSlices, service.ns())) {
      const Labels& labels = slice->meta().labels;
      auto of = labels.find(kServiceNameLabel);
      auto by = labels.find(kManagedByLabel);
      bool ours = of != labels.end() && of->second == service.name() && by != labels.end() &&
                  by->second == kSliceManager;
      if (ours) slices.push_back(slice);
    }
    return slices;
  }

  Task<Result<>> write_slices(const Object& service, const std::vector<ObjectPtr>& pods) {
    SlicePlan plan = plan_slices(service, pods, slices_of(service));
    std::string ns = service.ns();
    for (Json& slice : plan.update) {
      std::string name = slice["metadata"]["name"].get<std::string>();
      auto written =
          co_await context_.client.update(client::gvr::kEndpointSlices, ns, name, std::move(slice));
      if (!written)
        co_return fail(failure(client::gvr::kEndpointSlices, ns, name, written.error()));
    }
    for (Json& slice : plan.create) {
      auto written =
          co_await context_.client.create(client::gvr::kEndpointSlices, ns, std::move(slice));
      if (!written) co_return fail(written.error());
    }
    for (const std::string& name : plan.remove) {
      auto removed = co_await context_.client.remove(client::gvr::kEndpointSlices, ns, name);
      if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    }
    co_return Result<>{};
  }

  Task<Result<>> write_endpoints(const Object& service, const std::vector<ObjectPtr>& pods) {
    ObjectPtr existing = context_.reader.get(client::gvr::kEndpoints, service.ns(), service.name());
    Json wanted = plan_endpoints(service, pods, existing);
    if (existing && wanted == *existing->dom()) co_return Result<>{};
    std::string ns = service.ns(), name = service.name();
    auto written =
        existing
            ? co_await context_.client.update(client::gvr::kEndpoints, ns, name, std::move(wanted))
            : co_await context_.client.create(client::gvr::kEndpoints, ns, std::move(wanted));
    if (!written && existing)
      co_return fail(failure(client::gvr::kEndpoints, ns, name, written.error()));
    if (!written) co_return fail(written.error());
    co_return Result<>{};
  }

  // Slices go with their owner; the Endpoints object has none upstream either.
  Task<Result<Requeue>> remove_endpoints(Key key) {
    ObjectPtr existing = context_.reader.get(client::gvr::kEndpoints, key.ns, key.name);
    if (!existing) co_return Requeue{};
    auto by = existing->meta().labels.find("endpoints.kubernetes.io/managed-by");
    if (by == existing->meta().labels.end()) co_return Requeue{};
    auto removed = co_await context_.client.remove(client::gvr::kEndpoints, key.ns, key.name);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Requeue{};
  }

  ControllerContext context_;
};

}  // namespace

std::unique_ptr<Controller> make_endpoints_controller(ControllerContext context) {
  return std::make_unique<EndpointsController>(context);
}

}  // namespace moth::controllers
