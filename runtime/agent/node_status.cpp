#include "runtime/agent/node_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/conditions.h"
#include "runtime/os/fs.h"
#include "runtime/os/proc.h"

namespace moth::agent {
namespace {

// Hard eviction thresholds, which the node keeps for itself (k8s-behaviours 11.1).
constexpr std::uint64_t kMemoryReserve = 100ull << 20;
constexpr std::size_t kMaxImages = 50;

std::string kibi(std::uint64_t bytes) {
  return fmt::format("{}Ki", bytes / 1024);
}

std::string page_name(std::uint64_t bytes) {
  return bytes % (1ull << 30) == 0 ? fmt::format("{}Gi", bytes >> 30)
                                   : fmt::format("{}Mi", bytes >> 20);
}

Json capacity_of(const NodeFacts& facts) {
  Json capacity = {{"cpu", std::to_string(facts.cpus)},
                   {"memory", kibi(facts.memory_bytes)},
                   {"ephemeral-storage", kibi(facts.storage_bytes)},
                   {"pods", std::to_string(facts.max_pods)}};
  for (const auto& [size, pages] : facts.huge_pages) {
    capacity["hugepages-" + page_name(size)] = pages == 0 ? "0" : kibi(size * pages);
  }
  return capacity;
}

void set_conditions(Json& status, WallTime now) {
  using Update = resources::ConditionUpdate;
  const Update updates[] = {{"MemoryPressure",
                             "False",
                             "KubeletHasSufficientMemory",
                             "kubelet has sufficient memory available",
                             {},
                             Update::Times::kNode},
                            {"DiskPressure",
                             "False",
                             "KubeletHasNoDiskPressure",
                             "kubelet has no disk pressure",
                             {},
                             Update::Times::kNode},
                            {"PIDPressure",
                             "False",
                             "KubeletHasSufficientPID",
                             "kubelet has sufficient PID available",
                             {},
                             Update::Times::kNode},
                            {"Ready",
                             "True",
                             "KubeletReady",
                             "kubelet is posting ready status",
                             {},
                             Update::Times::kNode}};
  for (const Update& update : updates) resources::set_condition(status, update, now);
}

}  // namespace

NodeFacts gather_node_facts(const std::string& data_dir) {
  NodeFacts facts;
  facts.architecture = os::architecture();
  facts.kernel_version = os::kernel_version();
  facts.os_image = os::os_release().pretty_name;
  facts.machine_id = os::machine_id().value_or("");
  facts.system_uuid = facts.machine_id;
  facts.boot_id = os::boot_id().value_or("");
  facts.cpus = os::cpu_count();
  if (auto memory = os::memory_info()) {
    facts.memory_bytes = memory->total;
    for (const auto& [size, pages] : memory->huge_pages) facts.huge_pages.emplace_back(size, pages);
  }
  if (auto storage = os::fs_usage(data_dir)) {
    facts.storage_bytes = storage->capacity;
    facts.storage_available = storage->available;
  }
  return facts;
}

Json build_node(const NodeFacts& facts, const Json& existing, WallTime now) {
  Json node = existing.is_object() ? existing
                                   : Json{{"apiVersion", "v1"},
                                          {"kind", "Node"},
                                          {"metadata", {{"name", facts.name}}},
                                          {"spec", Json::object()}};
  Json& labels = node["metadata"]["labels"];
  for (const char* prefix : {"", "beta."}) {
    labels[fmt::format("{}kubernetes.io/arch", prefix)] = facts.architecture;
    labels[fmt::format("{}kubernetes.io/os", prefix)] = "linux";
  }
  labels["kubernetes.io/hostname"] = facts.name;
  labels["node-role.kubernetes.io/control-plane"] = "";
  node["spec"]["podCIDR"] = facts.pod_cidr;
  node["spec"]["podCIDRs"] = Json::array({facts.pod_cidr});

  Json& status = node["status"];
  if (!status.is_object()) status = Json::object();
  status["capacity"] = capacity_of(facts);
  Json allocatable = status["capacity"];
  allocatable["memory"] =
      kibi(facts.memory_bytes > kMemoryReserve ? facts.memory_bytes - kMemoryReserve : 0);
  allocatable["ephemeral-storage"] = std::to_string(facts.storage_bytes / 10 * 9);
  status["allocatable"] = std::move(allocatable);
  set_conditions(status, now);
  status["addresses"] = Json::array({{{"type", "InternalIP"}, {"address", facts.internal_ip}},
                                     {{"type", "Hostname"}, {"address", facts.name}}});
  status["daemonEndpoints"] = {{"kubeletEndpoint", {{"Port", 10250}}}};
  status["nodeInfo"] = {
      {"machineID", facts.machine_id},   {"systemUUID", facts.system_uuid},
      {"bootID", facts.boot_id},         {"kernelVersion", facts.kernel_version},
      {"osImage", facts.os_image},       {"containerRuntimeVersion", facts.runtime_version},
      {"kubeletVersion", facts.version}, {"kubeProxyVersion", ""},
      {"operatingSystem", "linux"},      {"architecture", facts.architecture}};
  Json images = Json::array();
  for (const auto& image : facts.images) {
    if (images.size() == kMaxImages) break;
    images.push_back({{"names", image.names}, {"sizeBytes", image.size_bytes}});
  }
  status["images"] = std::move(images);
  return node;
}

}  // namespace moth::agent
