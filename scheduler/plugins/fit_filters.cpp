// Filters about what the node has left: resources, pod count, host ports.
#include <algorithm>

#include "scheduler/plugins/plugins.h"

namespace moth::scheduler {
namespace {

using resources::PodView;

class ResourceFit final : public Filter {
 public:
  std::string_view name() const override { return "NodeResourcesFit"; }
  bool helped_by_preemption() const override { return true; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    std::vector<std::string> reasons;
    const auto& allocatable = node.node->allocatable;
    auto pods = resources::amount(allocatable, "pods").value();
    if (allocatable.contains("pods") && static_cast<std::int64_t>(node.pods.size()) + 1 > pods) {
      reasons.emplace_back("Too many pods");
    }
    for (const auto& [resource, wanted] : pod.requests()) {
      if (wanted.is_zero()) continue;
      Quantity left =
          resources::amount(allocatable, resource) - resources::amount(node.requested, resource);
      if (wanted > left) reasons.push_back("Insufficient " + resource);
    }
    return reasons;
  }
};

struct HostPort {
  std::string ip;
  resources::Protocol protocol;
  std::uint16_t port;
};

std::vector<HostPort> host_ports(const PodView& pod) {
  std::vector<HostPort> ports;
  for (const auto& container : pod.containers()) {
    for (const auto& port : container.ports) {
      if (port.host_port == 0) continue;
      std::string ip = port.host_ip.empty() ? "0.0.0.0" : port.host_ip;
      ports.push_back({std::move(ip), port.protocol, port.host_port});
    }
  }
  return ports;
}

bool clash(const HostPort& a, const HostPort& b) {
  if (a.port != b.port || a.protocol != b.protocol) return false;
  return a.ip == b.ip || a.ip == "0.0.0.0" || b.ip == "0.0.0.0";
}

class NodePorts final : public Filter {
 public:
  std::string_view name() const override { return "NodePorts"; }
  bool helped_by_preemption() const override { return true; }
  std::vector<std::string> check(const PodView& pod, const NodeInfo& node,
                                 const Snapshot&) const override {
    std::vector<HostPort> wanted = host_ports(pod);
    if (wanted.empty()) return {};
    for (const PodView* other : node.pods) {
      for (const HostPort& taken : host_ports(*other)) {
        bool any = std::any_of(wanted.begin(), wanted.end(),
                               [&](const HostPort& port) { return clash(port, taken); });
        if (any) return {"node(s) didn't have free ports for the requested pod ports"};
      }
    }
    return {};
  }
};

class LeastAllocated final : public Scorer {
 public:
  double score(const PodView& pod, const NodeInfo& node, const Snapshot&) const override {
    double sum = 0;
    for (const char* resource : {"cpu", "memory"}) {
      double capacity = resources::amount(node.node->allocatable, resource).as_double();
      double taken = resources::amount(node.requested, resource).as_double() +
                     resources::amount(pod.requests(), resource).as_double();
      if (capacity > 0) sum += 50 * std::max(0.0, 1 - taken / capacity);
    }
    return sum;
  }
};

}  // namespace

std::unique_ptr<Filter> make_resource_fit() {
  return std::make_unique<ResourceFit>();
}
std::unique_ptr<Filter> make_node_ports() {
  return std::make_unique<NodePorts>();
}
std::unique_ptr<Scorer> make_least_allocated() {
  return std::make_unique<LeastAllocated>();
}

}  // namespace moth::scheduler
