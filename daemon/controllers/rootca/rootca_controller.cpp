#include "daemon/controllers/rootca/rootca_controller.h"

#include "api/base/json.h"

namespace moth::controllers {
namespace {

constexpr const char* kName = "kube-root-ca.crt";

// Keys are namespaces.
class RootCaPublisher final : public Controller {
 public:
  RootCaPublisher(ControllerContext context, std::string ca_pem)
      : context_(context), ca_pem_(std::move(ca_pem)) {}
  std::string_view name() const override { return "root-ca-cert-publisher"; }

  void subscribe(WorkQueue& queue) override {
    watch_own(context_.subscriptions, client::gvr::kNamespaces, queue);
    context_.subscriptions.subscribe(client::gvr::kConfigMaps,
                                     [&queue](const client::ObjectReader::Change& change) {
                                       if (change.any().name() == kName)
                                         queue.add({"", change.any().ns()});
                                     });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr ns = context_.reader.get(client::gvr::kNamespaces, "", key.name);
    if (!ns || ns->meta().deletion_time) co_return Requeue{};
    Json data = {{"ca.crt", ca_pem_}};
    ObjectPtr present = context_.reader.get(client::gvr::kConfigMaps, key.name, kName);
    if (!present) {
      Json map = {{"apiVersion", "v1"},
                  {"kind", "ConfigMap"},
                  {"metadata",
                   {{"name", kName},
                    {"annotations",
                     {{"kubernetes.io/description",
                       "The CA of the API server, for connections to its address inside the "
                       "cluster and to kubernetes.default.svc."}}}}},
                  {"data", std::move(data)}};
      auto made =
          co_await context_.client.create(client::gvr::kConfigMaps, key.name, std::move(map));
      if (!made && made.error().reason != Reason::kAlreadyExists) co_return fail(made.error());
      co_return Requeue{};
    }
    Json object = present->parse();
    if (object.contains("data") && object["data"] == data) co_return Requeue{};
    object["data"] = std::move(data);
    auto written = co_await context_.client.update(client::gvr::kConfigMaps, key.name, kName,
                                                   std::move(object));
    if (!written) co_return fail(written.error());
    co_return Requeue{};
  }

 private:
  ControllerContext context_;
  std::string ca_pem_;
};

}  // namespace

std::unique_ptr<Controller> make_rootca_controller(ControllerContext context, std::string ca_pem) {
  return std::make_unique<RootCaPublisher>(context, std::move(ca_pem));
}

}  // namespace moth::controllers
