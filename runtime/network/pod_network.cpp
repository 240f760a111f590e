#include "runtime/network/pod_network.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "api/base/log.h"
#include "runtime/network/netlink/conntrack.h"
#include "runtime/network/netlink/route.h"
#include "runtime/network/sysctl.h"
#include "runtime/os/unique_fd.h"

namespace moth::network {

namespace {

constexpr Ipv4 kGateway = Ipv4::of(169, 254, 1, 1);
constexpr const char* kPodInterface = "eth0";
constexpr int kDefaultMtu = 1500;
constexpr std::size_t kPodInterfaceLength = 15;
constexpr std::size_t kMaxReleased = 64;

// Both ends have addresses known beforehand, so each can be told the other's as a permanent
// neighbour: no ARP, no proxy_arp, and no first packet that waits for an answer.
netlink::Mac mac_of(std::string_view host_interface, std::uint8_t end) {
  std::uint64_t value = std::hash<std::string_view>{}(host_interface);
  netlink::Mac mac;
  mac[0] = 0x02;  // locally administered
  for (int i = 1; i < 5; ++i)
    mac[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(value >> (8 * i));
  mac[5] = static_cast<std::uint8_t>((value & 0xfe) | end);
  return mac;
}

Result<int> choose_mtu(netlink::RouteSocket& host, int configured) {
  if (configured > 0) return configured;
  MOTH_ASSIGN(auto uplink, host.default_interface());
  if (!uplink) return kDefaultMtu;
  MOTH_ASSIGN(auto link, host.link(*uplink));
  return link.mtu > 0 ? link.mtu : kDefaultMtu;
}

Result<> loopback_up(netlink::RouteSocket& sock) {
  MOTH_ASSIGN(auto lo, sock.find_link("lo"));
  if (!lo) return fail(Error::internal("a network namespace without lo"));
  if (!lo->up) MOTH_TRY(sock.set_up(lo->index));
  return {};
}

// What container runtimes give unprivileged processes in a namespace of their own.
void relax_port_limits() {
  try_sysctl("net/ipv4/ip_unprivileged_port_start", "0");
  try_sysctl("net/ipv4/ping_group_range", "0 2147483647");
}

Result<> configure_pod_end(Ipv4 ip, const netlink::Mac& gateway_mac) {
  MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
  MOTH_TRY(loopback_up(sock));
  relax_port_limits();
  MOTH_ASSIGN(auto link, sock.find_link(kPodInterface));
  if (!link) return fail(Error::internal("the pod's interface vanished"));
  try_sysctl(std::string("net/ipv6/conf/") + kPodInterface + "/disable_ipv6", "1");
  MOTH_TRY(sock.set_up(link->index));
  MOTH_TRY(sock.add_address(link->index, ip, 32));
  MOTH_TRY(sock.set_neighbour(link->index, kGateway, gateway_mac));
  netlink::Route route;
  route.interface = link->index;
  route.gateway = kGateway;
  route.destination = {{0}, 0};
  return sock.set_route(route);
}

Result<> configure_host_end(netlink::RouteSocket& host, const std::string& name,
                            const std::string& alias, Ipv4 ip, const netlink::Mac& pod_mac) {
  MOTH_ASSIGN(auto link, host.find_link(name));
  if (!link) return fail(Error::internal("interface " + name + " vanished"));
  try_sysctl("net/ipv6/conf/" + name + "/disable_ipv6", "1");
  // A pod can only send from its own address: the one route that points back to this interface.
  try_sysctl("net/ipv4/conf/" + name + "/rp_filter", "1");
  MOTH_TRY(host.set_up(link->index, alias));
  MOTH_TRY(host.set_neighbour(link->index, ip, pod_mac));
  netlink::Route route;
  route.destination = {ip, 32};
  route.interface = link->index;
  route.link_scope = true;
  return host.set_route(route);
}

// Creates the pair; runs inside the pod's namespace with a socket that was opened outside.
Result<> add_pair(netlink::RouteSocket& host, const std::string& name, int mtu) {
  int here = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (here < 0) return fail(Error::from_errno(errno, "open the pod's network namespace"));
  netlink::Veth veth;
  veth.name = name;
  veth.peer_name = kPodInterface;
  veth.mac = mac_of(name, 0);
  veth.peer_mac = mac_of(name, 1);
  veth.mtu = mtu;
  veth.peer_netns = here;
  auto added = host.add_veth(veth);
  // The name is busy for a moment after the namespace of a former pod of this uid went.
  if (!added && added.error().os_errno == EEXIST) {
    if (auto removed = host.delete_link(name); removed) added = host.add_veth(veth);
  }
  ::close(here);
  return added;
}

Result<bool> has_address(Ipv4 ip) {
  MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
  MOTH_ASSIGN(auto link, sock.find_link(kPodInterface));
  if (!link || !link->up) return false;
  MOTH_ASSIGN(auto addresses, sock.addresses());
  for (const auto& [index, address] : addresses)
    if (index == link->index && address.base == ip) return true;
  return false;
}

// Two instances may share a prefix, so the alias decides; only one that was cut off while it was
// made has none.
bool is_pod_end(const netlink::Link& link, const std::string& instance) {
  if (link.name == service_interface(instance)) return false;
  if (!link.alias.empty()) return link.alias.rfind("moth/" + instance + "/", 0) == 0;
  std::string prefix = interface_prefix(instance);
  return !link.up && link.name.size() == kPodInterfaceLength && link.name.rfind(prefix, 0) == 0;
}

}  // namespace

PodNetwork::PodNetwork(NetworkConfig config)
    : config_(std::move(config)), netns_(config_.run_dir) {}

bool PodNetwork::complete(std::string_view pod_uid, Ipv4 ip) const {
  if (!netns_.exists(pod_uid)) return false;
  auto host = netlink::RouteSocket::open();
  if (!host) return false;
  auto link = host->find_link(pod_interface(config_.instance, pod_uid));
  if (!link || !*link || !(*link)->up) return false;
  bool inside = false;
  auto checked = run_in_netns(netns_.path(pod_uid), [&]() -> Result<> {
    MOTH_ASSIGN(inside, has_address(ip));
    return {};
  });
  return checked && inside;
}

Result<Attached> PodNetwork::attach(std::string_view pod_uid, Ipv4 ip) {
  std::string name = pod_interface(config_.instance, pod_uid);
  std::string alias = "moth/" + config_.instance + "/" + std::string(pod_uid);
  Attached attached{netns_.path(pod_uid), name, ip};
  bool existed = netns_.exists(pod_uid);
  MOTH_ASSIGN(auto host, netlink::RouteSocket::open());
  if (existed && complete(pod_uid, ip)) {
    MOTH_TRY(configure_host_end(host, name, alias, ip, mac_of(name, 1)));
    return attached;
  }
  if (existed) {
    // Half made, or with another address: nothing that runs in it had a working network.
    log::warning("a pod's network is made anew", log::field("pod", pod_uid),
                 log::field("ip", ip.text()));
    MOTH_TRY(netns_.remove(pod_uid));
  }
  forget_flows_before_reuse(ip);
  MOTH_ASSIGN(int mtu, choose_mtu(host, config_.mtu));
  os::UniqueFd inside;
  auto made = [&]() -> Result<> {
    auto created = netns_.create(pod_uid, [&]() -> Result<> {
      inside.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      MOTH_TRY(add_pair(host, name, mtu));
      return configure_pod_end(ip, mac_of(name, 0));
    });
    if (!created) return fail(std::move(created).error());
    MOTH_TRY(configure_host_end(host, name, alias, ip, mac_of(name, 1)));
    netlink::settle_carrier(inside.get(), kPodInterface);
    return {};
  }();
  if (!made) {
    (void)netns_.remove(pod_uid);
    Error error = std::move(made).error();
    error.with_context("network of pod " + std::string(pod_uid));
    return fail(std::move(error));
  }
  return attached;
}

Result<std::string> PodNetwork::create_isolated(std::string_view name) {
  return netns_.create(name, []() -> Result<> {
    MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
    relax_port_limits();
    return loopback_up(sock);
  });
}

Result<> PodNetwork::detach(std::string_view pod_uid, Ipv4 ip) {
  MOTH_TRY(netns_.remove(pod_uid));
  std::set<Ipv4> due;
  {
    std::lock_guard lock(mutex_);
    released_.insert(ip);
    if (released_.size() >= kMaxReleased) due.swap(released_);
  }
  if (!due.empty()) forget_flows(due);
  return {};
}

void PodNetwork::forget_flows_before_reuse(Ipv4 ip) {
  std::set<Ipv4> due;
  {
    std::lock_guard lock(mutex_);
    if (released_.count(ip)) due.swap(released_);
  }
  if (!due.empty()) forget_flows(due);
}

void PodNetwork::forget_flows(const std::set<Ipv4>& addresses) {
  auto count = read_sysctl("net/netfilter/nf_conntrack_count");
  if (!count || *count == "0") return;
  netlink::FlowFilter filter;
  filter.matches = [&](const netlink::Flow& flow) {
    return addresses.count(flow.original_source.ip) > 0 ||
           addresses.count(flow.reply_source.ip) > 0;
  };
  if (auto forgotten = netlink::delete_flows(filter); !forgotten)
    log::warning("the connections of former pods could not be forgotten",
                 log::field("error", forgotten.error().message));
}

Result<std::size_t> PodNetwork::sweep(const std::set<std::string>& keep) {
  std::size_t removed = 0;
  std::set<std::string> kept;  // host ends
  for (const std::string& uid : keep) kept.insert(pod_interface(config_.instance, uid));
  MOTH_ASSIGN(auto names, netns_.list());
  for (const std::string& name : names) {
    if (keep.count(name)) continue;
    MOTH_ASSIGN(bool used, netns_.in_use(name));
    if (used) {
      log::warning("processes run in the network of a pod that is not known",
                   log::field("pod", name), log::field("netns", netns_.path(name)));
      kept.insert(pod_interface(config_.instance, name));
      continue;
    }
    MOTH_TRY(netns_.remove(name));
    ++removed;
  }
  MOTH_ASSIGN(auto host, netlink::RouteSocket::open());
  MOTH_ASSIGN(auto links, host.links());
  for (const netlink::Link& link : links) {
    if (!is_pod_end(link, config_.instance) || kept.count(link.name)) continue;
    MOTH_TRY(host.delete_link(link.name));
    ++removed;
  }
  return removed;
}

Result<std::vector<std::string>> PodNetwork::list() const {
  return netns_.list();
}

}  // namespace moth::network
