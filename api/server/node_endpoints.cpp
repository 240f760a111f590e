// What nodes/NAME/proxy answers: the part of a kubelet's own API that tools ask for.
#include <fmt/format.h>

#include "api/base/await_on.h"
#include "api/machinery/time.h"
#include "api/server/api_server_impl.h"

namespace moth::server {
namespace {

Json cpu_and_memory(WallTime at, std::int64_t nano_cores, std::int64_t bytes) {
  std::string time = format_rfc3339(at);
  return {{"cpu", {{"time", time}, {"usageNanoCores", nano_cores}}},
          {"memory", {{"time", time}, {"workingSetBytes", bytes}}}};
}

Json summary(const std::string& name, const std::optional<client::NodeUsage>& node,
             const std::vector<client::PodUsage>& pods) {
  Json all = {{"node", {{"nodeName", name}}}, {"pods", Json::array()}};
  if (node) {
    all["node"].update(cpu_and_memory(node->timestamp, node->cpu_nano_cores, node->memory_bytes));
  }
  for (const client::PodUsage& pod : pods) {
    Json containers = Json::array();
    std::int64_t cpu = 0, memory = 0;
    for (const client::ContainerUsage& usage : pod.containers) {
      Json entry = cpu_and_memory(pod.timestamp, usage.cpu_nano_cores, usage.memory_bytes);
      entry["name"] = usage.name;
      containers.push_back(std::move(entry));
      cpu += usage.cpu_nano_cores;
      memory += usage.memory_bytes;
    }
    Json entry = cpu_and_memory(pod.timestamp, cpu, memory);
    entry["podRef"] = {{"name", pod.name}, {"namespace", pod.ns}, {"uid", pod.uid}};
    entry["containers"] = std::move(containers);
    all["pods"].push_back(std::move(entry));
  }
  return all;
}

// Memory alone is a gauge that we have; of processor time the node keeps rates, which this format
// has no place for.
std::string resource_metrics(const std::optional<client::NodeUsage>& node,
                             const std::vector<client::PodUsage>& pods) {
  std::string text =
      "# HELP container_memory_working_set_bytes Current working set of the container in bytes\n"
      "# TYPE container_memory_working_set_bytes gauge\n";
  auto millis = [](WallTime at) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  };
  for (const client::PodUsage& pod : pods) {
    for (const client::ContainerUsage& usage : pod.containers) {
      text += fmt::format(
          "container_memory_working_set_bytes{{container=\"{}\",namespace=\"{}\",pod=\"{}\"}} {} "
          "{}\n",
          usage.name, pod.ns, pod.name, usage.memory_bytes, millis(pod.timestamp));
    }
  }
  text +=
      "# HELP node_memory_working_set_bytes Current working set of the node in bytes\n"
      "# TYPE node_memory_working_set_bytes gauge\n";
  if (node) {
    text += fmt::format("node_memory_working_set_bytes {} {}\n", node->memory_bytes,
                        millis(node->timestamp));
  }
  return text;
}

}  // namespace

Task<Result<>> ApiServer::Impl::node_endpoint(Call& call, std::string name, std::string port) {
  if (!node_) co_return fail(no_node());
  // Other ports of the machine are not the agent's; a proxy to them would let whoever may use this
  // subresource reach everything that listens on the host.
  if (!port.empty() && port != "10250") {
    co_return fail(Error::of(Reason::kForbidden,
                             "nodes/proxy reaches the node's agent alone: leave the port out"));
  }
  const std::vector<std::string>& rest = call.info.rest;
  std::string path = fmt::format("{}", fmt::join(rest, "/"));
  bool read = call.request().method == "GET" || call.request().method == "HEAD";
  if (rest.size() == 4 && rest[0] == "containerLogs" && read) {
    co_return co_await node_container_logs(call, name);
  }
  auto text = [&](std::string body, const char* type) {
    http::Response response = http::Response::text(200, std::move(body));
    response.headers.set("Content-Type", type);
    return call.exchange.send(std::move(response));
  };
  if (!read) {
    co_await call.exchange.send(http::Response::text(405, "405 method not allowed\n"));
  } else if (path == "healthz" || path == "healthz/ping") {
    co_await text("ok", "text/plain; charset=utf-8");
  } else if (path == "metrics" && options_.metrics) {
    co_await text(co_await call_on(control(), [this] { return options_.metrics(); }),
                  "text/plain; version=0.0.4; charset=utf-8");
  } else if (path == "metrics/resource" || path == "stats/summary") {
    auto pods = co_await call_on(control(), [&] { return node_->pod_usage(); });
    auto node = co_await call_on(control(), [&] { return node_->node_usage(); });
    if (path == "stats/summary") {
      co_await send_json(call, 200, summary(name, node, pods).dump());
    } else {
      co_await text(resource_metrics(node, pods), "text/plain; version=0.0.4; charset=utf-8");
    }
  } else if (path == "pods" || path == "runningpods") {
    co_await send_json(call, 200, co_await node_pods(name, path == "runningpods"));
  } else if (path == "configz") {
    Json config = {{"kind", "KubeletConfiguration"},
                   {"apiVersion", "kubelet.config.k8s.io/v1beta1"},
                   {"containerLogMaxSize", "10Mi"},
                   {"containerLogMaxFiles", 5}};
    co_await send_json(call, 200, Json{{"kubeletconfig", std::move(config)}}.dump());
  } else {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
  }
  co_return Result<>{};
}

// The pods of a node as a PodList.
Task<std::string> ApiServer::Impl::node_pods(std::string name, bool running) {
  const resources::ResourceDef* def = pipeline_.registry().find("", "v1", "pods");
  auto listed = co_await call_on(control(), [&] { return pipeline_.list({def, "", "", ""}); });
  std::string items;
  for (const ObjectPtr& pod : listed.objects) {
    const Json parsed = pod->parse();
    const Json* node = find_path(parsed, "spec", "nodeName");
    if (!node || *node != name) continue;
    const Json* phase = find_path(parsed, "status", "phase");
    if (running && (!phase || *phase != "Running")) continue;
    items += (items.empty() ? "" : ",") + pod->text();
  }
  co_return R"({"kind":"PodList","apiVersion":"v1","metadata":{},"items":[)" + items + "]}";
}

// /containerLogs/NAMESPACE/POD/CONTAINER is the log subresource under another name.
Task<Result<>> ApiServer::Impl::node_container_logs(Call& call, std::string node) {
  const std::vector<std::string> rest = call.info.rest;
  call.def = pipeline_.registry().find("", "v1", "pods");
  call.info.ns = rest[1];
  call.info.name = rest[2];
  call.exchange.request().query.add("container", rest[3]);
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  const Json parsed = (*pod)->parse();
  const Json* where = find_path(parsed, "spec", "nodeName");
  if (!where || *where != node) co_return fail(Error::not_found("pods", call.info.name));
  co_return co_await log(call);
}

}  // namespace moth::server
