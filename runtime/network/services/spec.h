#pragma once
// What the node must route: Services with their ready endpoints, and hostPorts of pods. Plain
// values, built by the daemon from Service and EndpointSlice objects.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/network/address/address.h"

namespace moth::network {

struct ServicePortSpec {
  std::string name;  // may be empty for a single port
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;
  std::uint16_t node_port = 0;  // 0: none
  std::vector<SocketAddress>
      endpoints;  // ready ones; target ports resolved; order and duplicates do not matter
};

struct ServiceSpec {
  std::string id;                  // "namespace/name"; unique
  std::optional<Ipv4> cluster_ip;  // nullopt: headless (then only node ports count, if any)
  std::vector<Ipv4> external_ips;  // externalIPs and load balancer addresses
  std::vector<ServicePortSpec> ports;
  std::uint32_t affinity_seconds = 0;  // sessionAffinity ClientIP with this timeout; 0: none
  // On one node externalTrafficPolicy Local and Cluster are the same: client addresses are always
  // kept.
};

// containers[].ports[].hostPort of one pod.
struct HostPortSpec {
  std::string id;  // pod uid; unique among ServiceSpec ids too
  struct Port {
    std::optional<Ipv4> host_ip;  // nullopt: every address of the machine
    Protocol protocol = Protocol::kTcp;
    std::uint16_t host_port = 0;
    SocketAddress target;
  };
  std::vector<Port> ports;
};

}  // namespace moth::network
