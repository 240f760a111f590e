#include "runtime/agent/resources/directories.h"

#include "runtime/agent/config/hostname.h"
#include "runtime/network/hosts_file.h"
#include "runtime/network/resolv_conf.h"
#include "runtime/os/fs.h"

namespace moth::agent {

namespace {

constexpr mode_t kPrivate = 0750;
constexpr mode_t kPublic = 0755;

network::PodDns dns_of(const PodContext& pod, const ResourceServices& services) {
  const auto& spec = pod.view().spec();
  network::PodDns dns;
  dns.policy = network::parse_dns_policy(spec.dns_policy).value_or(network::DnsPolicy::kDefault);
  dns.host_network = spec.host_network;
  dns.pod_namespace = pod.ns;
  dns.cluster_domain = services.cluster_domain;
  dns.dns_address = services.dns_address;
  dns.nameservers = spec.dns.nameservers;
  dns.searches = spec.dns.searches;
  for (const auto& [name, value] : spec.dns.options) {
    dns.options.push_back(value.empty() ? name : name + ":" + value);
  }
  return dns;
}

network::PodHosts hosts_of(const PodContext& pod, const ResourceServices& services) {
  const auto& spec = pod.view().spec();
  network::PodHosts hosts;
  hosts.pod_ips = {pod.pod_ip};
  // Without the domain, which the text adds.
  auto hostname = pod_hostname(pod, services.node_hostname, services.cluster_domain);
  hosts.hostname = hostname ? hostname->substr(0, hostname->find('.')) : pod.name;
  hosts.subdomain = spec.subdomain;
  hosts.pod_namespace = pod.ns;
  hosts.cluster_domain = services.cluster_domain;
  for (const auto& alias : spec.host_aliases) hosts.aliases.push_back({alias.ip, alias.hostnames});
  return hosts;
}

struct EtcPlan {
  std::string folder, hostname, pod_ip;
  bool host_network = false;
  network::PodHosts hosts;
  network::PodDns dns;
};

// A file that containers have mounted is written in place: a rename would leave them the old one.
// What is there stays, since the pod's programs may have added to it.
Result<std::vector<std::string>> write_etc(const EtcPlan& plan) {
  MOTH_TRY(os::make_dirs(plan.folder, kPublic));
  const std::string hosts = plan.folder + "/hosts";
  auto present = os::read_file(hosts);
  const bool current = present && (plan.host_network || plan.pod_ip.empty() ||
                                   present->find(plan.pod_ip + "\t") != std::string::npos);
  if (!current) {
    std::string text;
    if (plan.host_network) {
      auto host = os::read_file("/etc/hosts");
      text = network::build_host_network_hosts_file(host ? *host : "", plan.hosts.aliases);
    } else {
      text = network::build_hosts_file(plan.hosts);
    }
    MOTH_TRY(present ? os::write_file(hosts, text, 0644)
                     : os::write_file_atomic(hosts, text, 0644, false));
  }
  MOTH_TRY(os::write_file(plan.folder + "/hostname", plan.hostname + "\n", 0644));
  std::vector<std::string> warnings;
  const std::string resolv = plan.folder + "/resolv.conf";
  if (os::exists(resolv)) return warnings;
  auto built = network::build_resolv_conf(plan.dns, network::read_host_resolv_conf());
  MOTH_TRY(os::write_file_atomic(resolv, network::render_resolv_conf(built.conf), 0644, false));
  return std::move(built.warnings);
}

}  // namespace

Task<Result<>> PodDirectories::prepare(PodContext& pod) {
  const std::string uid = pod.uid;
  const Paths& paths = services_.paths;
  co_return co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(os::make_dirs(paths.pod(uid), kPrivate));
    return os::make_dirs(paths.volumes(uid), kPrivate);
  });
}

Task<Result<>> PodDirectories::cleanup(PodContext&) {
  co_return Result<>{};
}

Task<Result<>> PodEtcFiles::prepare(PodContext& pod) {
  auto hostname = pod_hostname(pod, services_.node_hostname, services_.cluster_domain);
  if (!hostname) {
    hostname.error().with_context("Failed to create pod sandbox");
    co_return fail(std::move(hostname).error());
  }
  EtcPlan plan;
  plan.folder = services_.paths.etc(pod.uid);
  plan.hostname = std::move(*hostname);
  plan.pod_ip = pod.pod_ip;
  plan.host_network = pod.view().spec().host_network;
  plan.hosts = hosts_of(pod, services_);
  plan.dns = dns_of(pod, services_);
  auto written = co_await call_on(services_.executors.blocking(), [&] { return write_etc(plan); });
  if (!written) co_return fail(std::move(written).error());
  for (std::string& warning : *written) {
    services_.events.record(*pod.object, client::EventType::kWarning, "DNSConfigForming",
                            std::move(warning));
  }
  co_return Result<>{};
}

Task<Result<>> PodEtcFiles::cleanup(PodContext& pod) {
  const std::string folder = services_.paths.etc(pod.uid);
  co_return co_await call_on(services_.executors.blocking(),
                             [&] { return os::remove_tree(folder); });
}

}  // namespace moth::agent
