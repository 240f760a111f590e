#include "daemon/controllers/serviceaccount/serviceaccount_controller.h"

#include "api/base/json.h"

namespace moth::controllers {
namespace {

constexpr const char* kDefault = "default";

// Keys are namespaces.
class ServiceAccountController final : public Controller {
 public:
  explicit ServiceAccountController(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "serviceaccount"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, client::gvr::kNamespaces, queue);
    context_.subscriptions.subscribe(client::gvr::kServiceAccounts,
                                     [&queue](const client::ObjectReader::Change& change) {
                                       if (change.any().name() == kDefault)
                                         queue.add({"", change.any().ns()});
                                     });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr ns = context_.reader.get(client::gvr::kNamespaces, "", key.name);
    if (!ns || ns->meta().deletion_time) co_return Requeue{};
    if (context_.reader.get(client::gvr::kServiceAccounts, key.name, kDefault)) co_return Requeue{};
    Json account = {
        {"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", kDefault}}}};
    auto created = co_await context_.client.create(client::gvr::kServiceAccounts, key.name,
                                                   std::move(account));
    if (!created && created.error().reason != Reason::kAlreadyExists)
      co_return fail(created.error());
    co_return Requeue{};
  }

 private:
  ControllerContext context_;
};

}  // namespace

std::unique_ptr<Controller> make_serviceaccount_controller(ControllerContext context) {
  return std::make_unique<ServiceAccountController>(context);
}

}  // namespace moth::controllers
