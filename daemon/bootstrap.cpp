#include "daemon/bootstrap.h"

#include "api/base/json.h"

namespace moth {
namespace {

Task<Result<>> ensure(client::ObjectClient& client, Gvr gvr, std::string ns, Json object) {
  std::string name = object.at("metadata").at("name").get<std::string>();
  if (co_await client.get(gvr, ns, name)) co_return Result<>{};
  auto created = co_await client.create(std::move(gvr), std::move(ns), std::move(object));
  if (!created && created.error().reason != Reason::kAlreadyExists) co_return fail(created.error());
  co_return Result<>{};
}

}  // namespace

Task<Result<>> bootstrap_cluster(client::ObjectClient& client, BootstrapOptions options) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    Json ns = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    MOTH_CO_TRY(co_await ensure(client, client::gvr::kNamespaces, "", std::move(ns)));
  }
  Json service = {
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata",
       {{"name", "kubernetes"},
        {"labels", {{"component", "apiserver"}, {"provider", "kubernetes"}}}}},
      {"spec",
       {{"clusterIP", options.service_address},
        {"ports",
         Json::array({{{"name", "https"}, {"port", 443}, {"targetPort", options.api_port}}})}}}};
  co_return co_await ensure(client, client::gvr::kServices, "default", std::move(service));
}

Task<Result<>> publish_api_endpoint(client::ObjectClient& client, std::string api_address,
                                    int api_port) {
  Json slice = {
      {"apiVersion", "discovery.k8s.io/v1"},
      {"kind", "EndpointSlice"},
      {"metadata",
       {{"name", "kubernetes"}, {"labels", {{"kubernetes.io/service-name", "kubernetes"}}}}},
      {"addressType", "IPv4"},
      {"endpoints", Json::array({{{"addresses", Json::array({api_address})},
                                  {"conditions", {{"ready", true}}}}})},
      {"ports", Json::array({{{"name", "https"}, {"port", api_port}, {"protocol", "TCP"}}})}};
  auto known = co_await client.get(client::gvr::kEndpointSlices, "default", "kubernetes");
  if (!known)
    co_return co_await ensure(client, client::gvr::kEndpointSlices, "default", std::move(slice));
  auto updated = co_await client.update(client::gvr::kEndpointSlices, "default", "kubernetes",
                                        std::move(slice));
  if (!updated) co_return fail(updated.error());
  co_return Result<>{};
}

}  // namespace moth
