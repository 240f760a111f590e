#pragma once
// The host's side of an instance's network, and the names of what an instance owns on the host.
// Everything carries the instance name, so several daemons live side by side.
#include <optional>
#include <string>
#include <string_view>

#include "runtime/network/address/address.h"

namespace moth::network {

struct NetworkConfig {
  std::string instance = "default";  // [a-z0-9]([-a-z0-9]*[a-z0-9])?, at most 40 characters
  std::string run_dir;               // on tmpfs; netns/ lies below
  Cidr pod_cidr;
  Cidr service_cidr;
  Ipv4 dns_address;              // inside service_cidr; lives on the instance's own interface
  std::optional<Ipv4> node_ip;   // source address of the host towards services and pods
  int mtu = 0;                   // of pods; 0: that of the default route's interface, else 1500
  int conntrack_time_wait = 30;  // seconds a closed TCP flow is remembered; 0: leave the kernel's
  std::string domain = "cluster.local";
};

// "m" and four hex digits of the instance name: first part of all interface names.
std::string interface_prefix(std::string_view instance);
// Host end of a pod's veth: prefix and ten hex digits that identify the pod; 15 characters.
std::string pod_interface(std::string_view instance, std::string_view pod_uid);
// The interface that holds the DNS address and the route to the service range.
std::string service_interface(std::string_view instance);
// The nftables table: "moth_<instance>" with - as _.
std::string nft_table(std::string_view instance);

// Refuses overlapping ranges, a DNS address outside the service range, bad names.
Result<> validate(const NetworkConfig& config);

// Turns forwarding on, creates the service interface with the DNS address, routes the service range
// to it and makes the unused part of the pod range unreachable (so that packets for dead pods never
// leave by the default route). Idempotent; repairs what is missing. Blocks some milliseconds; any
// thread of the host's namespace.
Result<> setup_host_network(const NetworkConfig& config);
// Removes the interface and routes (uninstall; a daemon that only stops leaves them). Forwarding
// stays on.
Result<> remove_host_network(const NetworkConfig& config);

// Address of the interface of the default route, else the first global one; nullopt on a machine
// without any. Blocks shortly.
std::optional<Ipv4> detect_node_ip();

}  // namespace moth::network
