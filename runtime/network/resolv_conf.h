#pragma once
// The text of a pod's /etc/resolv.conf. Pure, any thread.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moth::network {

struct ResolvConf {
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
};

// Reads a resolv.conf as libc does (last of domain/search wins, comments, unknown words ignored).
ResolvConf parse_resolv_conf(std::string_view text);
// With `search`, `nameserver`, `options` lines in this order; a final newline.
std::string render_resolv_conf(const ResolvConf& conf);
// The host's, preferring /run/systemd/resolve/resolv.conf where /etc/resolv.conf only names the
// local stub. Reads files: blocks. Missing files give an empty result.
ResolvConf read_host_resolv_conf();

enum class DnsPolicy { kClusterFirst, kClusterFirstWithHostNet, kDefault, kNone };
// Upstream's spelling; nullopt when unknown. Empty is ClusterFirst.
std::optional<DnsPolicy> parse_dns_policy(std::string_view text);

struct PodDns {
  DnsPolicy policy = DnsPolicy::kClusterFirst;
  bool host_network = false;
  std::string pod_namespace;
  std::string cluster_domain = "cluster.local";
  std::string dns_address;  // of the cluster; empty: the policy falls back to the host's
  // spec.dnsConfig; an option is "name" or "name:value".
  std::vector<std::string> nameservers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
};

inline constexpr int kMaxNameservers = 3;
inline constexpr int kMaxSearches = 32;
inline constexpr int kMaxSearchCharacters = 2048;

struct PodResolvConf {
  ResolvConf conf;
  // What was left out because of the limits, in words for an Event (DNSConfigForming); empty when
  // nothing was.
  std::vector<std::string> warnings;
};

PodResolvConf build_resolv_conf(const PodDns& pod, const ResolvConf& host);

}  // namespace moth::network
