#include "daemon/controllers/endpoints/slice_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "api/base/json.h"

namespace moth::controllers {
namespace {

using resources::PodView;
using resources::ServicePort;
using resources::ServiceView;

// The pod's number for a service port; 0 when a named port is not there.
int resolve_port(const PodView& pod, const ServicePort& port) {
  if (!port.target.is_string) return port.target.number > 0 ? port.target.number : port.port;
  const std::string& wanted = port.target.text;
  auto search = [&](const std::vector<resources::Container>& containers, bool sidecars) -> int {
    for (const auto& container : containers) {
      if (sidecars && !container.is_sidecar()) continue;
      const auto* found = container.port_named(wanted);
      if (found && found->protocol == port.protocol) return found->container_port;
    }
    return 0;
  };
  int number = search(pod.containers(), false);
  return number ? number : search(pod.init_containers(), true);
}

Json slice_ports(const PodView& pod, const ServiceView& service) {
  Json ports = Json::array();
  for (const ServicePort& port : service.ports) {
    int number = resolve_port(pod, port);
    if (number == 0) continue;
    Json entry = {
        {"name", port.name}, {"protocol", std::string(to_string(port.protocol))}, {"port", number}};
    if (!port.app_protocol.empty()) entry["appProtocol"] = port.app_protocol;
    ports.push_back(std::move(entry));
  }
  return ports;
}

Json target_ref(const PodView& pod) {
  return {{"kind", "Pod"}, {"namespace", pod.ns()}, {"name", pod.name()}, {"uid", pod.uid()}};
}

std::string endpoint_hostname(const PodView& pod, const ServiceView& service) {
  const auto& spec = pod.spec();
  return !spec.hostname.empty() && spec.subdomain == service.name() ? spec.hostname : "";
}

Json slice_endpoint(const PodView& pod, const ServiceView& service) {
  bool serving = pod.is_ready();
  bool ready = service.publish_not_ready || (serving && !pod.is_deleting());
  Json endpoint = {
      {"addresses", Json::array({pod.pod_ip()})},
      {"conditions", {{"ready", ready}, {"serving", serving}, {"terminating", pod.is_deleting()}}},
      {"targetRef", target_ref(pod)}};
  if (!pod.node_name().empty()) endpoint["nodeName"] = pod.node_name();
  if (std::string hostname = endpoint_hostname(pod, service); !hostname.empty())
    endpoint["hostname"] = hostname;
  return endpoint;
}

bool counts(const PodView& pod) {
  return !pod.is_finished() && !pod.pod_ip().empty();
}

Json service_labels(const Object& service) {
  Json labels = Json::object();
  for (const auto& [key, value] : service.meta().labels) labels[key] = value;
  return labels;
}

Json slice_object(const Object& service, Json ports, Json endpoints) {
  Json labels = service_labels(service);
  labels[kServiceNameLabel] = service.name();
  labels[kManagedByLabel] = kSliceManager;
  if (service.view<ServiceView>().headless) labels["service.kubernetes.io/headless"] = "";
  return {{"apiVersion", "discovery.k8s.io/v1"},
          {"kind", "EndpointSlice"},
          {"metadata",
           {{"generateName", service.name() + "-"},
            {"namespace", service.ns()},
            {"labels", std::move(labels)},
            {"ownerReferences", Json::array({{{"apiVersion", "v1"},
                                              {"kind", "Service"},
                                              {"name", service.name()},
                                              {"uid", service.uid()},
                                              {"controller", true},
                                              {"blockOwnerDeletion", true}}})}}},
          {"addressType", "IPv4"},
          {"endpoints", std::move(endpoints)},
          {"ports", std::move(ports)}};
}

// The wanted content by port set: pods of one Service may resolve a named port differently.
std::map<std::string, std::pair<Json, std::vector<Json>>> wanted_groups(
    const ServiceView& service, const std::vector<ObjectPtr>& pods) {
  std::map<std::string, std::pair<Json, std::vector<Json>>> groups;
  for (const ObjectPtr& object : pods) {
    const auto& pod = object->view<PodView>();
    if (!counts(pod)) continue;
    Json ports = slice_ports(pod, service);
    std::string key = ports.dump();
    auto& [known, endpoints] = groups[key];
    known = std::move(ports);
    endpoints.push_back(slice_endpoint(pod, service));
  }
  return groups;
}

}  // namespace

SlicePlan plan_slices(const Object& service, const std::vector<ObjectPtr>& pods,
                      const std::vector<ObjectPtr>& existing) {
  SlicePlan plan;
  const auto& view = service.view<ServiceView>();
  auto groups = wanted_groups(view, pods);
  // A Service without endpoints still has one slice, so that clients see that it was looked at.
  if (groups.empty()) groups["[]"] = {Json::array(), {}};
  std::multimap<std::string, ObjectPtr> reusable;
  for (const ObjectPtr& slice : existing) {
    const auto dom = slice->dom();
    const Json* ports = find_member(*dom, "ports");
    reusable.emplace(ports ? ports->dump() : "[]", slice);
  }
  auto take = [&](const std::string& key) -> ObjectPtr {
    auto it = reusable.find(key);
    if (it == reusable.end()) it = reusable.begin();
    if (it == reusable.end()) return nullptr;
    ObjectPtr slice = it->second;
    reusable.erase(it);
    return slice;
  };
  for (auto& [key, group] : groups) {
    auto& [ports, endpoints] = group;
    for (std::size_t at = 0; at == 0 || at < endpoints.size(); at += kMaxEndpointsPerSlice) {
      Json part = Json::array();
      for (std::size_t i = at; i < std::min(endpoints.size(), at + kMaxEndpointsPerSlice); ++i)
        part.push_back(endpoints[i]);
      Json wanted = slice_object(service, ports, std::move(part));
      ObjectPtr slice = take(key);
      if (!slice) {
        plan.create.push_back(std::move(wanted));
        continue;
      }
      const auto dom = slice->dom();
      Json merged = *dom;
      merged["endpoints"] = wanted["endpoints"];
      merged["ports"] = wanted["ports"];
      merged["metadata"]["labels"] = wanted["metadata"]["labels"];
      merged["metadata"]["ownerReferences"] = wanted["metadata"]["ownerReferences"];
      if (merged != *dom) plan.update.push_back(std::move(merged));
    }
  }
  for (const auto& [key, slice] : reusable) plan.remove.push_back(slice->name());
  return plan;
}

Json plan_endpoints(const Object& service, const std::vector<ObjectPtr>& pods,
                    const ObjectPtr& existing) {
  const auto& view = service.view<ServiceView>();
  struct Subset {
    Json ports, ready = Json::array(), not_ready = Json::array();
  };
  std::map<std::string, Subset> subsets;
  std::size_t total = 0;
  for (const ObjectPtr& object : pods) {
    const auto& pod = object->view<PodView>();
    if (!counts(pod) || pod.is_deleting() || total++ >= kMaxEndpointsAddresses) continue;
    Json ports = slice_ports(pod, view);
    Subset& subset = subsets[ports.dump()];
    subset.ports = std::move(ports);
    Json address = {{"ip", pod.pod_ip()}, {"targetRef", target_ref(pod)}};
    if (!pod.node_name().empty()) address["nodeName"] = pod.node_name();
    if (std::string hostname = endpoint_hostname(pod, view); !hostname.empty())
      address["hostname"] = hostname;
    bool ready = pod.is_ready() || view.publish_not_ready;
    (ready ? subset.ready : subset.not_ready).push_back(std::move(address));
  }
  Json list = Json::array();
  for (auto& [key, subset] : subsets) {
    Json entry = Json::object();
    if (!subset.ready.empty()) entry["addresses"] = std::move(subset.ready);
    if (!subset.not_ready.empty()) entry["notReadyAddresses"] = std::move(subset.not_ready);
    for (Json& port : subset.ports) {
      if (string_or(port, "name").empty()) port.erase("name");
    }
    if (!subset.ports.empty()) entry["ports"] = std::move(subset.ports);
    list.push_back(std::move(entry));
  }
  Json object = existing
                    ? existing->parse()
                    : Json{{"apiVersion", "v1"},
                           {"kind", "Endpoints"},
                           {"metadata", {{"name", service.name()}, {"namespace", service.ns()}}}};
  Json labels = service_labels(service);
  labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller";
  object["metadata"]["labels"] = std::move(labels);
  if (list.empty()) {
    object.erase("subsets");
  } else {
    object["subsets"] = std::move(list);
  }
  return object;
}

}  // namespace moth::controllers
