#include "api/server/webhooks/caller.h"

#include <fmt/format.h>

#include "api/http/tls.h"
#include "api/http/url.h"
#include "api/resources/core_v1/service_view.h"
#include "api/resources/discovery_v1/endpoint_slice_view.h"

namespace moth::server {
namespace {

std::string host_port(const std::string& host, std::int32_t port) {
  bool ipv6 = host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

// The connection's own address is of no use to the reader of an error.
std::string with_shown_url(std::string text, const std::string& url, const std::string& shown) {
  if (auto at = text.find(url); at != std::string::npos) text.replace(at, url.size(), shown);
  return text;
}

}  // namespace

WebhookCaller::WebhookCaller(asio::any_io_executor io, asio::any_io_executor blocking,
                             Storage& storage, const resources::Registry& registry,
                             std::size_t max_answer_bytes, std::size_t max_clients)
    : io_(std::move(io)),
      blocking_(std::move(blocking)),
      storage_(storage),
      registry_(registry),
      max_answer_bytes_(max_answer_bytes),
      max_clients_(max_clients) {}

// A ready endpoint, so that it works without the node's service rules, too.
Result<std::string> WebhookCaller::endpoint_of(const Webhook& webhook) const {
  const auto* services = registry_.find("", "v1", "services");
  ObjectPtr object = storage_.get(*services, webhook.service_ns, webhook.service_name);
  if (!object) {
    return fail(Error::of(Reason::kNotFound,
                          fmt::format("service \"{}\" not found", webhook.service_name)));
  }
  const auto& service = object->view<resources::ServiceView>();
  if (service.type == resources::ServiceType::kExternalName)
    return host_port(service.external_name, webhook.service_port);
  const resources::ServicePort* port = service.find_port(std::to_string(webhook.service_port));
  if (!port) {
    return fail(Error::unavailable(fmt::format("no service port {} found for service \"{}\"",
                                               webhook.service_port, webhook.service_name)));
  }
  const auto* slices = registry_.find("discovery.k8s.io", "v1", "endpointslices");
  for (const ObjectPtr& one : storage_.list(*slices, webhook.service_ns).objects) {
    const auto& slice = one->view<resources::EndpointSliceView>();
    if (slice.service_name() != webhook.service_name) continue;
    for (const auto& candidate : slice.ports) {
      if (candidate.name != port->name || candidate.port == 0) continue;
      for (const auto& endpoint : slice.endpoints) {
        if (endpoint.ready && !endpoint.addresses.empty())
          return host_port(endpoint.addresses.front(), candidate.port);
      }
    }
  }
  return fail(Error::unavailable(
      fmt::format("no endpoints available for service \"{}\"", webhook.service_name)));
}

Result<WebhookCaller::Place> WebhookCaller::place_of(const Webhook& webhook) const {
  std::string query = fmt::format("timeout={}s", webhook.timeout.count());
  if (!webhook.url.empty()) {
    char mark = webhook.url.find('?') == std::string::npos ? '?' : '&';
    std::string url = fmt::format("{}{}{}", webhook.url, mark, query);
    return Place{url, url, ""};
  }
  std::string path = webhook.path.starts_with('/') ? webhook.path : "/" + webhook.path;
  std::string server = fmt::format("{}.{}.svc", webhook.service_name, webhook.service_ns);
  MOTH_ASSIGN(std::string endpoint, endpoint_of(webhook));
  return Place{fmt::format("https://{}{}?{}", endpoint, path, query),
               fmt::format("https://{}:{}{}?{}", server, webhook.service_port, path, query),
               server};
}

Result<std::shared_ptr<http::Client>> WebhookCaller::client_of(const Webhook& webhook,
                                                               const Place& place) {
  std::string key = place.server + "\n" + webhook.ca_pem;
  if (auto known = clients_.find(key); known != clients_.end()) return known->second;
  http::ClientTlsConfig tls;
  tls.ca_pem = webhook.ca_pem;
  tls.server_name = place.server;
  http::ClientOptions options;
  MOTH_ASSIGN(options.tls, http::TlsContext::client(tls));
  options.user_agent = "kube-apiserver-admission";
  // Calls that run hold their client, so all can be dropped when there are too many.
  if (clients_.size() >= max_clients_) clients_.clear();
  auto client = std::make_shared<http::Client>(io_, blocking_, std::move(options));
  clients_.emplace(std::move(key), client);
  return client;
}

Task<Result<std::string>> WebhookCaller::call(Webhook webhook, std::string review) {
  MOTH_CO_ASSIGN(Place place, place_of(webhook));
  MOTH_CO_ASSIGN(auto client, client_of(webhook, place));
  http::ClientRequest request;
  request.method = "POST";
  request.url = place.url;
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}};
  if (!place.server.empty())
    request.headers.set("Host", fmt::format("{}:{}", place.server, webhook.service_port));
  request.body = std::move(review);
  request.timeout = webhook.timeout;
  request.body_limit = max_answer_bytes_;
  auto response = co_await client->request(std::move(request));
  if (!response) {
    Error error = response.error();
    error.message = with_shown_url(std::move(error.message), place.url, place.shown);
    co_return fail(std::move(error));
  }
  if (response->status != 200) co_return fail(http::error_from_response(*response));
  co_return response->whole_body();
}

}  // namespace moth::server
