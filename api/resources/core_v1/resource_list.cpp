#include "api/resources/core_v1/resource_list.h"

#include <algorithm>
#include <utility>

#include "api/resources/edit.h"

namespace moth::resources {
namespace {

const Json* resource_member(const Json& owner, std::string_view which) {
  return find_path(owner, "resources", which);
}

bool is_sidecar(const Json& container) {
  return string_or(container, "restartPolicy") == "Always";
}

// Sums of app containers and sidecars against what each init container needs on its turn.
ResourceList aggregate(const Json& spec, std::string_view which) {
  ResourceList running;
  for (const Json& container : items(spec, "containers")) {
    add(running, parse_resource_list(resource_member(container, which)));
  }
  ResourceList sidecars, init_peak;
  for (const Json& container : items(spec, "initContainers")) {
    ResourceList own = parse_resource_list(resource_member(container, which));
    if (is_sidecar(container)) {
      add(running, own);
      add(sidecars, own);
      raise_to(init_peak, sidecars);
    } else {
      add(own, sidecars);
      raise_to(init_peak, own);
    }
  }
  raise_to(running, init_peak);
  return running;
}

// The names that spec.resources of a pod may hold.
bool is_pod_level(std::string_view name) {
  return name == "cpu" || name == "memory" || is_hugepages(name);
}

void replace_by_pod_level(ResourceList& totals, const Json& spec, std::string_view which) {
  for (auto& [name, quantity] : parse_resource_list(resource_member(spec, which))) {
    if (is_pod_level(name)) totals[name] = quantity;
  }
}

struct QosInput {
  ResourceList requests, limits;
  bool every_container_limited = true;
};

// Positive amounts of cpu and memory; a limit without a request is no request here.
void count_for_qos(QosInput& input, const Json& owner) {
  bool cpu = false, memory = false;
  for (std::string_view which : {"requests", "limits"}) {
    for (auto& [name, quantity] : parse_resource_list(resource_member(owner, which))) {
      if ((name != "cpu" && name != "memory") || quantity.sign() <= 0) continue;
      bool is_limit = which == "limits";
      (is_limit ? input.limits : input.requests)[name] += quantity;
      if (is_limit) (name == "cpu" ? cpu : memory) = true;
    }
  }
  if (!cpu || !memory) input.every_container_limited = false;
}

}  // namespace

ResourceList parse_resource_list(const Json* json) {
  ResourceList out;
  if (!json || !json->is_object()) return out;
  for (const auto& [name, value] : json->items()) {
    auto quantity = Quantity::from_json(value);
    out[name] = quantity ? *quantity : Quantity();
  }
  return out;
}

Json to_json(const ResourceList& list) {
  Json out = Json::object();
  for (const auto& [name, quantity] : list) out[name] = quantity.to_string();
  return out;
}

Quantity amount(const ResourceList& list, std::string_view name) {
  auto it = list.find(name);
  return it == list.end() ? Quantity() : it->second;
}

void add(ResourceList& to, const ResourceList& more) {
  for (const auto& [name, quantity] : more) to[name] += quantity;
}

void raise_to(ResourceList& to, const ResourceList& floor) {
  for (const auto& [name, quantity] : floor) {
    auto [it, inserted] = to.try_emplace(name, quantity);
    if (!inserted && it->second < quantity) it->second = quantity;
  }
}

ResourceList pod_requests(const Json& pod_spec) {
  ResourceList totals = aggregate(pod_spec, "requests");
  replace_by_pod_level(totals, pod_spec, "requests");
  add(totals, parse_resource_list(find_member(pod_spec, "overhead")));
  return totals;
}

ResourceList pod_limits(const Json& pod_spec) {
  ResourceList totals = aggregate(pod_spec, "limits");
  replace_by_pod_level(totals, pod_spec, "limits");
  // Overhead counts only on top of a limit: without one there is none to raise.
  for (auto& [name, quantity] : parse_resource_list(find_member(pod_spec, "overhead"))) {
    if (auto it = totals.find(name); it != totals.end()) it->second += quantity;
  }
  return totals;
}

std::string qos_class(const Json& pod_spec) {
  QosInput input;
  if (!object_of(pod_spec, "resources").empty()) {
    count_for_qos(input, pod_spec);
  } else {
    for (const Json& container : items(pod_spec, "containers")) count_for_qos(input, container);
    for (const Json& container : items(pod_spec, "initContainers")) count_for_qos(input, container);
  }
  if (input.requests.empty() && input.limits.empty()) return "BestEffort";
  bool equal = input.every_container_limited && input.requests.size() == input.limits.size() &&
               std::all_of(input.requests.begin(), input.requests.end(), [&](const auto& request) {
                 return amount(input.limits, request.first) == request.second;
               });
  return equal ? "Guaranteed" : "Burstable";
}

bool is_hugepages(std::string_view name) {
  return name.starts_with("hugepages-");
}

bool is_extended_resource(std::string_view name) {
  auto slash = name.find('/');
  if (slash == std::string_view::npos || name.starts_with("requests.")) return false;
  std::string_view domain = name.substr(0, slash);
  return domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io");
}

}  // namespace moth::resources
