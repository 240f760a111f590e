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

// Of the Service kubernetes.
Task<Result<>> put(client::ObjectClient& client, Gvr gvr, Json object) {
  auto known = co_await client.get(gvr, "default", "kubernetes");
  if (!known) co_return co_await ensure(client, gvr, "default", std::move(object));
  auto updated = co_await client.update(gvr, "default", "kubernetes", std::move(object));
  if (!updated) co_return fail(updated.error());
  co_return Result<>{};
}

}  // namespace

Task<Result<>> bootstrap_cluster(client::ObjectClient& client, BootstrapOptions options) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    Json ns = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    MOTH_CO_TRY(co_await ensure(client, client::gvr::kNamespaces, "", std::move(ns)));
  }
  struct Critical {
    const char* name;
    int value;
    const char* description;
  };
  for (const Critical& critical :
       {Critical{"system-node-critical", 2'000'001'000,
                 "Used for system critical pods that must not be moved from their current node."},
        Critical{"system-cluster-critical", 2'000'000'000,
                 "Used for system critical pods that must run in the cluster, but can be moved to "
                 "another node if necessary."}}) {
    Json made = {{"apiVersion", "scheduling.k8s.io/v1"},
                 {"kind", "PriorityClass"},
                 {"metadata", {{"name", critical.name}}},
                 {"value", critical.value},
                 {"description", critical.description}};
    MOTH_CO_TRY(co_await ensure(client, Gvr{"scheduling.k8s.io", "v1", "priorityclasses"}, "",
                                std::move(made)));
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
  MOTH_CO_TRY(co_await put(client, client::gvr::kEndpointSlices, std::move(slice)));
  // The older form of the same, which some clients still read.
  Json endpoints = {
      {"apiVersion", "v1"},
      {"kind", "Endpoints"},
      {"metadata",
       {{"name", "kubernetes"}, {"labels", {{"endpointslice.kubernetes.io/skip-mirror", "true"}}}}},
      {"subsets",
       Json::array(
           {{{"addresses", Json::array({{{"ip", api_address}}})},
             {"ports",
              Json::array({{{"name", "https"}, {"port", api_port}, {"protocol", "TCP"}}})}}})}};
  co_return co_await put(client, client::gvr::kEndpoints, std::move(endpoints));
}

}  // namespace moth
