// Nodes: with their pods and what those ask for.
#include <algorithm>
#include <map>

#include "api/machinery/quantity.h"
#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

using Amounts = std::map<std::string, Quantity>;

void write_amounts(DescribeWriter& out, std::string_view title, const Json* amounts) {
  if (!amounts || !amounts->is_object() || amounts->empty()) return;
  out.write(0, "{}:\n", title);
  for (const auto& [name, amount] : amounts->items())
    out.write(1, "{}:\t{}\n", name, scalar_text(amount));
}

void write_taints(DescribeWriter& out, const Json* taints) {
  out.write(0, "Taints:\t");
  if (!taints || !taints->is_array() || taints->empty()) {
    out.raw("<none>\n");
    return;
  }
  bool first = true;
  for (const Json& taint : *taints) {
    std::string value = string_or(taint, "value");
    out.write(0, "{}{}{}:{}\n", first ? "" : "\t", string_or(taint, "key"),
              value.empty() ? "" : "=" + value, string_or(taint, "effect"));
    first = false;
  }
}

void write_lease(DescribeWriter& out, Api& api, const std::string& node) {
  auto leases = api.resource("leases.coordination.k8s.io");
  if (!leases) return;
  auto lease = api.get(**leases, "kube-node-lease", node);
  if (!lease) {
    out.write(0, "Lease:\tFailed to get lease: {}\n", lease.error().error.message);
    return;
  }
  out.write(0, "Lease:\n");
  auto shown = [](const std::string& text) { return text.empty() ? "<unset>" : text; };
  out.write(1, "HolderIdentity:\t{}\n", shown(text_at(*lease, "spec", "holderIdentity")));
  out.write(1, "AcquireTime:\t{}\n", shown(long_time(text_at(*lease, "spec", "acquireTime"))));
  out.write(1, "RenewTime:\t{}\n", shown(long_time(text_at(*lease, "spec", "renewTime"))));
}

void write_conditions(DescribeWriter& out, const Json* conditions) {
  if (!conditions || !conditions->is_array() || conditions->empty()) return;
  out.raw("Conditions:\n");
  out.write(1, "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n");
  out.write(1, "----\t------\t-----------------\t------------------\t------\t-------\n");
  for (const Json& condition : *conditions) {
    out.write(1, "{} \t{} \t{} \t{} \t{} \t{}\n", string_or(condition, "type"),
              string_or(condition, "status"), long_time(string_or(condition, "lastHeartbeatTime")),
              long_time(string_or(condition, "lastTransitionTime")), string_or(condition, "reason"),
              string_or(condition, "message"));
  }
}

void write_system(DescribeWriter& out, const Json& node) {
  const Json* info = find_path(node, "status", "nodeInfo");
  if (!info) return;
  out.write(0, "System Info:\n");
  for (auto [key, title] :
       {std::pair("machineID", "Machine ID"), std::pair("systemUUID", "System UUID"),
        std::pair("bootID", "Boot ID"), std::pair("kernelVersion", "Kernel Version"),
        std::pair("osImage", "OS Image"), std::pair("operatingSystem", "Operating System"),
        std::pair("architecture", "Architecture"),
        std::pair("containerRuntimeVersion", "Container Runtime Version"),
        std::pair("kubeletVersion", "Kubelet Version"),
        std::pair("kubeProxyVersion", "Kube-Proxy Version")})
    out.write(1, "{}:\t{}\n", title, string_or(*info, key));
  for (auto [key, title] : {std::pair("podCIDR", "PodCIDR")}) {
    if (std::string text = text_at(node, "spec", key); !text.empty())
      out.write(0, "{}:\t{}\n", title, text);
  }
  if (const Json* ranges = find_path(node, "spec", "podCIDRs"); ranges && !ranges->empty()) {
    std::string text;
    for (const Json& range : *ranges) text += (text.empty() ? "" : ",") + scalar_text(range);
    out.write(0, "PodCIDRs:\t{}\n", text);
  }
}

// What a pod's containers ask for together; an init container counts when it asks for more.
Amounts pod_amounts(const Json& pod, const char* member) {
  Amounts sum;
  auto each = [&](const char* list, auto apply) {
    const Json* containers = find_path(pod, "spec", list);
    for (const Json& container : containers ? *containers : Json::array()) {
      const Json* amounts = find_path(container, "resources", member);
      for (const auto& [name, amount] : object_or_empty(amounts).items())
        apply(sum[name], Quantity::parse_or_zero(scalar_text(amount)));
    }
  };
  each("containers", [](Quantity& total, const Quantity& one) { total += one; });
  each("initContainers",
       [](Quantity& total, const Quantity& one) { total = std::max(total, one); });
  return sum;
}

std::string share(const Amounts& amounts, const std::string& name, const Quantity& whole) {
  auto found = amounts.find(name);
  Quantity amount = found == amounts.end() ? Quantity() : found->second;
  double percent = whole.is_zero() ? 0 : amount.as_double() / whole.as_double() * 100;
  return fmt::format("{} ({}%)", amount.to_string(), static_cast<std::int64_t>(percent));
}

void write_pods(DescribeWriter& out, Api& api, const Json& node) {
  auto resource = api.resource("pods");
  if (!resource) return;
  auto list = api.list(**resource, "",
                       {{"fieldSelector", "spec.nodeName=" + text_at(node, "metadata", "name") +
                                              ",status.phase!=Succeeded,status.phase!=Failed"}});
  if (!list) return;
  const Json& pods = (*list)["items"];
  const Json* allocatable = find_path(node, "status", "allocatable");
  auto whole = [&](const std::string& name) {
    return Quantity::parse_or_zero(
        allocatable && allocatable->contains(name) ? scalar_text((*allocatable)[name]) : "0");
  };
  Amounts all_requests, all_limits;
  out.write(0, "Non-terminated Pods:\t({} in total)\n", pods.size());
  out.write(1,
            "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
  out.write(1,
            "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
  for (const Json& pod : pods) {
    Amounts requests = pod_amounts(pod, "requests"), limits = pod_amounts(pod, "limits");
    out.write(1, "{}\t{}\t\t{}\t{}\t{}\t{}\t{}\n", text_at(pod, "metadata", "namespace"),
              text_at(pod, "metadata", "name"), share(requests, "cpu", whole("cpu")),
              share(limits, "cpu", whole("cpu")), share(requests, "memory", whole("memory")),
              share(limits, "memory", whole("memory")),
              age_of(text_at(pod, "metadata", "creationTimestamp")));
    for (const auto& [name, amount] : requests) all_requests[name] += amount;
    for (const auto& [name, amount] : limits) all_limits[name] += amount;
  }
  out.raw("Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
  out.write(1, "Resource\tRequests\tLimits\n");
  out.write(1, "--------\t--------\t------\n");
  for (const char* name : {"cpu", "memory", "ephemeral-storage"}) {
    out.write(1, "{}\t{}\t{}\n", name, share(all_requests, name, whole(name)),
              share(all_limits, name, whole(name)));
  }
  for (const auto& [name, amount] : object_or_empty(allocatable).items()) {
    if (name.starts_with("hugepages-"))
      out.write(1, "{}\t{}\t{}\n", name, share(all_requests, name, whole(name)),
                share(all_limits, name, whole(name)));
    if (name.find('/') != std::string::npos)
      out.write(1, "{}\t{}\t{}\n", name, all_requests[name].to_string(),
                all_limits[name].to_string());
  }
}

}  // namespace

void describe_node(DescribeWriter& out, Api& api, const Json& node) {
  out.write(0, "Name:\t{}\n", text_at(node, "metadata", "name"));
  constexpr std::string_view kRole = "node-role.kubernetes.io/";
  std::string roles;
  const Json* labels = metadata_member(node, "labels");
  for (const auto& [key, value] : object_or_empty(labels).items()) {
    if (key.starts_with(kRole)) roles += (roles.empty() ? "" : ",") + key.substr(kRole.size());
  }
  out.write(0, "Roles:\t{}\n", roles.empty() ? "<none>" : roles);
  write_labels(out, "Labels", labels);
  write_annotations(out, "Annotations", metadata_member(node, "annotations"));
  out.write(0, "CreationTimestamp:\t{}\n",
            long_time(text_at(node, "metadata", "creationTimestamp")));
  write_taints(out, find_path(node, "spec", "taints"));
  const Json* spec = find_member(node, "spec");
  out.write(0, "Unschedulable:\t{}\n", spec && bool_or(*spec, "unschedulable"));
  write_lease(out, api, text_at(node, "metadata", "name"));
  write_conditions(out, find_path(node, "status", "conditions"));
  out.write(0, "Addresses:\n");
  const Json* addresses = find_path(node, "status", "addresses");
  for (const Json& address : addresses ? *addresses : Json::array())
    out.write(1, "{}:\t{}\n", string_or(address, "type"), string_or(address, "address"));
  write_amounts(out, "Capacity", find_path(node, "status", "capacity"));
  write_amounts(out, "Allocatable", find_path(node, "status", "allocatable"));
  write_system(out, node);
  write_pods(out, api, node);
}

}  // namespace moth::ctl
