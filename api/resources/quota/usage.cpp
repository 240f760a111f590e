#include "api/resources/quota/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/machinery/time.h"
#include "api/resources/edit.h"

namespace moth::resources::quota {
namespace {

constexpr std::string_view kStorageClassSuffix = ".storageclass.storage.k8s.io/";

std::string count_name(std::string_view group, std::string_view resource) {
  return group.empty() ? fmt::format("count/{}", resource)
                       : fmt::format("count/{}.{}", resource, group);
}

void one(ResourceList& list, const std::string& name, std::int64_t count = 1) {
  list[name] += Quantity::from_value(count);
}

// Names of quota for what is requested and limited.
ResourceList compute_names(const ResourceList& requests, const ResourceList& limits) {
  ResourceList out;
  for (const auto& [name, quantity] : requests) {
    if (name == "cpu" || name == "memory" || name == "ephemeral-storage" || is_hugepages(name)) {
      out[name] = quantity;
      out["requests." + name] = quantity;
    } else if (is_extended_resource(name)) {
      out["requests." + name] = quantity;
    }
  }
  for (const auto& [name, quantity] : limits) {
    if (name == "cpu" || name == "memory" || name == "ephemeral-storage")
      out["limits." + name] = quantity;
  }
  return out;
}

bool other_namespace(const Json& term) {
  return !items(term, "namespaces").empty() || has(term, "namespaceSelector");
}

bool crosses_namespaces(const Json& spec) {
  const Json& affinity = object_of(spec, "affinity");
  for (const char* kind : {"podAffinity", "podAntiAffinity"}) {
    const Json& rules = object_of(affinity, kind);
    for (const Json& term : items(rules, "requiredDuringSchedulingIgnoredDuringExecution")) {
      if (other_namespace(term)) return true;
    }
    for (const Json& weighted : items(rules, "preferredDuringSchedulingIgnoredDuringExecution")) {
      if (other_namespace(object_of(weighted, "podAffinityTerm"))) return true;
    }
  }
  return false;
}

Usage pod_usage(const Json& pod) {
  Usage usage;
  const Json& spec = object_of(pod, "spec");
  const Json& metadata = object_of(pod, "metadata");
  one(usage.amounts, "count/pods");
  usage.amounts_after = usage.amounts;
  usage.traits.is_pod = true;
  usage.traits.terminating = has(spec, "activeDeadlineSeconds");
  usage.traits.best_effort = qos_class(spec) == "BestEffort";
  usage.traits.priority_class = string_or(spec, "priorityClassName");
  usage.traits.cross_namespace_affinity = crosses_namespaces(spec);
  std::string phase = string_or(object_of(pod, "status"), "phase");
  if (phase == "Failed" || phase == "Succeeded") return usage;
  one(usage.amounts, "pods");
  add(usage.amounts, compute_names(pod_requests(spec), pod_limits(spec)));
  // deletionTimestamp is when the grace period ends.
  if (auto deleted = parse_rfc3339(string_or(metadata, "deletionTimestamp"))) {
    if (has(metadata, "deletionGracePeriodSeconds")) usage.ends_at = *deleted;
  }
  return usage;
}

Usage service_usage(const Json& service) {
  Usage usage;
  const Json& spec = object_of(service, "spec");
  one(usage.amounts, "count/services");
  one(usage.amounts, "services");
  std::string type = string_or(spec, "type");
  auto ports = static_cast<std::int64_t>(items(spec, "ports").size());
  if (type == "NodePort") one(usage.amounts, "services.nodeports", ports);
  if (type == "LoadBalancer") {
    if (!bool_or(spec, "allocateLoadBalancerNodePorts", true)) {
      ports = 0;
      for (const Json& port : items(spec, "ports")) ports += int_or(port, "nodePort") > 0 ? 1 : 0;
    }
    one(usage.amounts, "services.nodeports", ports);
    one(usage.amounts, "services.loadbalancers");
  }
  return usage;
}

Usage claim_usage(const Json& claim) {
  Usage usage;
  const Json& spec = object_of(claim, "spec");
  usage.traits.is_claim = true;
  usage.traits.attributes_class = string_or(spec, "volumeAttributesClassName");
  std::string storage_class =
      string_or(object_of(object_of(claim, "metadata"), "annotations"),
                "volume.beta.kubernetes.io/storage-class", string_or(spec, "storageClassName"));
  Quantity wanted =
      amount(parse_resource_list(find_path(spec, "resources", "requests")), "storage");
  Quantity allocated =
      amount(parse_resource_list(find_path(claim, "status", "allocatedResources")), "storage");
  if (wanted < allocated) wanted = allocated;
  std::vector<std::string> prefixes = {""};
  if (!storage_class.empty()) prefixes.push_back(storage_class + std::string(kStorageClassSuffix));
  one(usage.amounts, "count/persistentvolumeclaims");
  for (const std::string& prefix : prefixes) {
    one(usage.amounts, prefix + "persistentvolumeclaims");
    usage.amounts[prefix + "requests.storage"] += wanted;
  }
  return usage;
}

bool any_of(const std::vector<std::string>& values, const std::string& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool holds(const QuotaScope& scope, const std::string& value) {
  switch (scope.op) {
    case SelectorOperator::kIn:
      return any_of(scope.values, value);
    case SelectorOperator::kNotIn:
      return !any_of(scope.values, value);
    case SelectorOperator::kDoesNotExist:
      return value.empty();
    default:
      return !value.empty();
  }
}

bool matches(const QuotaScope& scope, const Traits& traits) {
  if (scope.name == "VolumeAttributesClass") {
    return traits.is_claim && holds(scope, traits.attributes_class);
  }
  if (!traits.is_pod) return false;
  if (scope.name == "Terminating") return traits.terminating;
  if (scope.name == "NotTerminating") return !traits.terminating;
  if (scope.name == "BestEffort") return traits.best_effort;
  if (scope.name == "NotBestEffort") return !traits.best_effort;
  if (scope.name == "CrossNamespacePodAffinity") return traits.cross_namespace_affinity;
  if (scope.name == "PriorityClass") return holds(scope, traits.priority_class);
  return false;
}

}  // namespace

Usage usage_of(std::string_view group, std::string_view resource, const Json& object) {
  if (group.empty() && resource == "pods") return pod_usage(object);
  if (group.empty() && resource == "services") return service_usage(object);
  if (group.empty() && resource == "persistentvolumeclaims") return claim_usage(object);
  Usage usage;
  one(usage.amounts, count_name(group, resource));
  static const std::set<std::string_view> kPlain = {"configmaps", "secrets", "resourcequotas",
                                                    "replicationcontrollers"};
  if (group.empty() && kPlain.contains(resource)) one(usage.amounts, std::string(resource));
  return usage;
}

bool matches_scopes(const std::vector<QuotaScope>& scopes, const Traits& traits) {
  return std::all_of(scopes.begin(), scopes.end(),
                     [&](const QuotaScope& scope) { return matches(scope, traits); });
}

std::string counted_resource(std::string_view name) {
  if (name.starts_with("count/")) return std::string(name.substr(6));
  if (name.starts_with("services")) return "services";
  if (name == "persistentvolumeclaims" || name == "requests.storage" ||
      name.find(kStorageClassSuffix) != std::string_view::npos)
    return "persistentvolumeclaims";
  for (std::string_view plain :
       {"configmaps", "secrets", "resourcequotas", "replicationcontrollers"}) {
    if (name == plain) return std::string(plain);
  }
  return "pods";
}

std::string missing_in_pod(const std::vector<std::string>& required, const Json& pod) {
  static const std::set<std::string_view> kChecked = {
      "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
  const Json& spec = object_of(pod, "spec");
  ResourceList whole = compute_names(parse_resource_list(find_path(spec, "resources", "requests")),
                                     parse_resource_list(find_path(spec, "resources", "limits")));
  std::map<std::string, std::set<std::string>> missing;
  for (const char* list : {"containers", "initContainers"}) {
    for (const Json& container : items(spec, list)) {
      ResourceList given =
          compute_names(parse_resource_list(find_path(container, "resources", "requests")),
                        parse_resource_list(find_path(container, "resources", "limits")));
      for (const std::string& name : required) {
        if (!kChecked.contains(name) || given.contains(name) || whole.contains(name)) continue;
        missing[name].insert(string_or(container, "name"));
      }
    }
  }
  std::string text;
  for (const auto& [name, containers] : missing) {
    text += fmt::format("{}{} for: {}", text.empty() ? "must specify " : "; ", name,
                        fmt::join(containers, ","));
  }
  return text;
}

std::string printed(const ResourceList& list, const std::vector<std::string>& only) {
  std::string text;
  for (const std::string& name : only) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, amount(list, name).to_string());
  }
  return text;
}

}  // namespace moth::resources::quota
