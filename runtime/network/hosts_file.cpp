#include "runtime/network/hosts_file.h"

#include <fmt/format.h>

namespace moth::network {

namespace {

std::string alias_lines(const std::vector<HostAlias>& aliases) {
  if (aliases.empty()) return "";
  std::string text = "\n# Entries added by HostAliases.\n";
  for (const HostAlias& alias : aliases)
    text += fmt::format("{}\t{}\n", alias.ip, fmt::join(alias.hostnames, "\t"));
  return text;
}

}  // namespace

std::string pod_fqdn(const PodHosts& pod) {
  if (pod.subdomain.empty()) return pod.hostname;
  return fmt::format("{}.{}.{}.svc.{}", pod.hostname, pod.subdomain, pod.pod_namespace,
                     pod.cluster_domain);
}

std::string build_hosts_file(const PodHosts& pod) {
  std::string text =
      "# Kubernetes-managed hosts file.\n"
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "fe00::0\tip6-mcastprefix\n"
      "fe00::1\tip6-allnodes\n"
      "fe00::2\tip6-allrouters\n";
  for (const std::string& ip : pod.pod_ips) {
    if (pod.subdomain.empty()) {
      text += fmt::format("{}\t{}\n", ip, pod.hostname);
    } else {
      text += fmt::format("{}\t{}\t{}\n", ip, pod_fqdn(pod), pod.hostname);
    }
  }
  return text + alias_lines(pod.aliases);
}

std::string build_host_network_hosts_file(std::string_view host_text,
                                          const std::vector<HostAlias>& aliases) {
  std::string text = "# Kubernetes-managed hosts file (host network).\n";
  text += host_text;
  if (!host_text.empty() && host_text.back() != '\n') text += '\n';
  return text + alias_lines(aliases);
}

}  // namespace moth::network
