#pragma once
// The text of a pod's /etc/hosts. Pure, any thread.
#include <string>
#include <string_view>
#include <vector>

namespace moth::network {

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
};

struct PodHosts {
  std::vector<std::string> pod_ips;
  std::string hostname;   // spec.hostname or the pod's name
  std::string subdomain;  // spec.subdomain; may be empty
  std::string pod_namespace;
  std::string cluster_domain = "cluster.local";
  std::vector<HostAlias> aliases;
};

std::string build_hosts_file(const PodHosts& pod);
// For pods in the host's network: the host's text and the aliases.
std::string build_host_network_hosts_file(std::string_view host_text,
                                          const std::vector<HostAlias>& aliases);

// The fully qualified name hostname.subdomain.ns.svc.domain, or just the hostname without a
// subdomain.
std::string pod_fqdn(const PodHosts& pod);

}  // namespace moth::network
