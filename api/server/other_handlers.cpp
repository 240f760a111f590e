// What is no stored resource: discovery, version, OpenAPI, health, metrics.
#include <fmt/format.h>

#include "api/base/await_on.h"
#include "api/machinery/quantity.h"
#include "api/machinery/time.h"
#include "api/schema/openapi_v3.h"
#include "api/server/api_server_impl.h"
#include "api/server/discovery.h"

namespace moth::server {
namespace {

constexpr const char* kDiscoveryType =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

Json usage_json(std::int64_t nano_cores, std::int64_t memory_bytes) {
  return {{"cpu", fmt::format("{}n", nano_cores)},
          {"memory", fmt::format("{}Ki", memory_bytes / 1024)}};
}

Json pod_metrics(const client::PodUsage& usage) {
  Json containers = Json::array();
  for (const auto& container : usage.containers) {
    containers.push_back({{"name", container.name},
                          {"usage", usage_json(container.cpu_nano_cores, container.memory_bytes)}});
  }
  return {{"kind", "PodMetrics"},
          {"apiVersion", "metrics.k8s.io/v1beta1"},
          {"metadata", {{"name", usage.name}, {"namespace", usage.ns}}},
          {"timestamp", format_rfc3339(usage.timestamp)},
          {"window", format_duration(usage.window)},
          {"containers", std::move(containers)}};
}

Json node_metrics(const client::NodeUsage& usage) {
  return {{"kind", "NodeMetrics"},
          {"apiVersion", "metrics.k8s.io/v1beta1"},
          {"metadata", {{"name", usage.name}}},
          {"timestamp", format_rfc3339(usage.timestamp)},
          {"window", format_duration(usage.window)},
          {"usage", usage_json(usage.cpu_nano_cores, usage.memory_bytes)}};
}

Json metrics_list(const char* kind, Json items) {
  return {{"kind", kind},
          {"apiVersion", "metrics.k8s.io/v1beta1"},
          {"metadata", Json::object()},
          {"items", std::move(items)}};
}

}  // namespace

Task<Result<>> ApiServer::Impl::discovery(Call& call) {
  const auto& segments = call.request().segments;
  const resources::Registry& registry = pipeline_.registry();
  if (segments[0] == "version") {
    co_await send_json(call, 200, version_document(options_.version, options_.build).dump());
    co_return Result<>{};
  }
  bool core = segments[0] == "api";
  std::optional<Json> document;
  std::string content_type = "application/json";
  if (segments.size() == 1) {
    MOTH_CO_ASSIGN(Form form, negotiate(call.request().headers.get("Accept"), true));
    if (form == Form::kDiscovery) {
      document = aggregated_discovery(registry, core);
      content_type = kDiscoveryType;
    } else {
      document = core ? api_versions() : api_group_list(registry);
    }
  } else if (core && segments.size() == 2) {
    document = api_resource_list(registry, "", segments[1]);
  } else if (!core && segments.size() == 2) {
    document = api_group(registry, segments[1]);
  } else if (!core && segments.size() == 3) {
    document = api_resource_list(registry, segments[1], segments[2]);
  }
  if (!document) {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  std::string text = document->dump();
  std::string etag = "\"" + schema::openapi_hash(text) + "\"";
  http::Response response = http::Response::json(200, std::move(text));
  if (call.request().headers.get("If-None-Match") == etag) {
    response.status = 304;
    response.body.clear();
  }
  response.headers.set("Content-Type", content_type);
  response.headers.set("ETag", etag);
  response.headers.set("Vary", "Accept");
  response.headers.set("Cache-Control", "public");
  co_await call.exchange.send(std::move(response));
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::openapi(Call& call) {
  const auto& segments = call.request().segments;
  if (segments.size() == 2 && segments[1] == "v2") co_return co_await openapi_v2(call);
  std::optional<OpenApi::Document> document;
  bool hashed = false;
  if (segments.size() >= 2 && segments[1] == "v3") {
    if (segments.size() == 2) {
      document = openapi_.index();
    } else {
      std::string path;
      for (std::size_t i = 2; i < segments.size(); ++i)
        path += (path.empty() ? "" : "/") + segments[i];
      document = co_await openapi_.document(path, executors_.blocking());
      hashed = call.request().query.has("hash");
    }
  }
  if (!document) {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  http::Response response = http::Response::json(200, "");
  std::string etag = "\"" + document->hash + "\"";
  if (call.request().headers.get("If-None-Match") == etag) {
    response.status = 304;
  } else {
    response.chunks.push_back(document->text);
  }
  response.headers.set("ETag", etag);
  response.headers.set("Vary", "Accept");
  if (hashed) response.headers.set("Cache-Control", "public, immutable, max-age=31536000");
  co_await call.exchange.send(std::move(response));
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::health(Call& call, const std::vector<HealthCheck>& checks) {
  std::string text;
  bool healthy = true;
  for (const HealthCheck& check : checks) {
    std::string why = co_await call_on(control(), [&] { return check.check(); });
    healthy = healthy && why.empty();
    text += why.empty() ? fmt::format("[+]{} ok\n", check.name)
                        : fmt::format("[-]{} failed: {}\n", check.name, why);
  }
  std::string name = call.request().segments[0];
  if (!healthy) {
    text += name + " check failed\n";
  } else if (call.request().query.has("verbose")) {
    text += name + " check passed\n";
  } else {
    text = "ok";
  }
  co_await call.exchange.send(http::Response::text(healthy ? 200 : 500, std::move(text)));
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::metrics_api(Call& call) {
  if (!node_)
    co_return fail(
        Error::unavailable("the server is currently unable to handle the request: no node agent"));
  const RequestInfo& info = call.info;
  if (info.gvr.version != "v1beta1" || (info.verb != "get" && info.verb != "list")) {
    co_return fail(not_allowed());
  }
  // Samples are selected by what their pods and nodes are.
  const http::Query& query = call.request().query;
  const auto* pods = pipeline_.registry().find("", "v1", "pods");
  const auto* nodes = pipeline_.registry().find("", "v1", "nodes");
  MOTH_CO_ASSIGN(Selection selection,
                 Selection::parse(info.gvr.resource == "pods" ? *pods : *nodes,
                                  query.get("labelSelector"), query.get("fieldSelector")));
  Json items = Json::array();
  if (info.gvr.resource == "pods") {
    auto usages = co_await call_on(control(), [&] {
      auto all = node_->pod_usage();
      std::erase_if(all, [&](const client::PodUsage& usage) {
        if (!info.ns.empty() && usage.ns != info.ns) return true;
        if (!info.name.empty() && usage.name != info.name) return true;
        ObjectPtr pod = pipeline_.storage().get(*pods, usage.ns, usage.name);
        return !pod || pod->uid() != usage.uid || !selection.matches(*pod);
      });
      return all;
    });
    for (const auto& usage : usages) items.push_back(pod_metrics(usage));
  } else if (info.gvr.resource == "nodes") {
    auto usage = co_await call_on(control(), [&] {
      auto found = node_->node_usage();
      if (!found || (!info.name.empty() && info.name != found->name)) return decltype(found){};
      ObjectPtr node = pipeline_.storage().get(*nodes, "", found->name);
      return node && selection.matches(*node) ? found : decltype(found){};
    });
    if (usage) items.push_back(node_metrics(*usage));
  } else {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  if (info.verb == "get") {
    if (items.empty()) {
      co_return fail(Error::not_found(
          info.gvr.resource == "pods" ? "podmetrics.metrics.k8s.io" : "nodemetrics.metrics.k8s.io",
          info.name));
    }
    co_await send_json(call, 200, items.front().dump());
    co_return Result<>{};
  }
  const char* kind = info.gvr.resource == "pods" ? "PodMetricsList" : "NodeMetricsList";
  co_await send_json(call, 200, metrics_list(kind, std::move(items)).dump());
  co_return Result<>{};
}

}  // namespace moth::server
