#include "runtime/network/host_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "runtime/network/netlink/route.h"
#include "runtime/network/sysctl.h"

namespace moth::network {

namespace {

// Far below every real route, so that the pods' own /32 routes and anything of the machine's
// administrator win.
constexpr std::uint32_t kUnreachableMetric = 4'000'000;

std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325ull;
  for (unsigned char c : text) value = (value ^ c) * 0x100000001b3ull;
  // FNV's high bits are weak for short texts.
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ull;
  return value ^ value >> 32;
}

netlink::Route service_route(const NetworkConfig& config, int interface) {
  netlink::Route route;
  route.destination = config.service_cidr;
  route.interface = interface;
  route.source = config.node_ip;
  route.link_scope = true;
  return route;
}

netlink::Route unreachable_route(const NetworkConfig& config) {
  netlink::Route route;
  route.destination = config.pod_cidr;
  route.unreachable = true;
  route.metric = kUnreachableMetric;
  return route;
}

// Small kernels lack dummy; a bridge without ports or an ifb serves as well: all that matters is an
// interface that can hold an address and a route.
Result<> add_service_interface(netlink::RouteSocket& sock, const std::string& name) {
  Result<> added;
  for (const char* kind : {"dummy", "bridge", "ifb"}) {
    added = sock.add_link(name, kind);
    if (added || added.error().os_errno != EOPNOTSUPP) return added;
  }
  return added;
}

}  // namespace

std::string interface_prefix(std::string_view instance) {
  return fmt::format("m{:04x}", hash(instance) & 0xffff);
}

std::string pod_interface(std::string_view instance, std::string_view pod_uid) {
  std::string digits;
  for (char c : pod_uid) {
    if (c == '-') continue;
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (!hex || digits.size() == 10) break;
    digits += c;
  }
  if (digits.size() < 10) digits = fmt::format("{:010x}", hash(pod_uid) & 0xff'ffff'ffff);
  return interface_prefix(instance) + digits;
}

std::string service_interface(std::string_view instance) {
  return interface_prefix(instance) + "svc";
}

std::string nft_table(std::string_view instance) {
  std::string name = fmt::format("moth_{}", instance);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

Result<> validate(const NetworkConfig& config) {
  auto bad = [](std::string message) {
    return fail(Error::of(Reason::kInvalid, std::move(message)));
  };
  const std::string& name = config.instance;
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !name.empty() && name.size() <= 40 && plain(name.front()) && plain(name.back()) &&
              std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; });
  if (!good)
    return bad(
        fmt::format("instance \"{}\": must be lower case letters, digits and '-', begin and end "
                    "with a letter or digit, and have at most 40 characters",
                    name));
  if (config.run_dir.empty() || config.run_dir.front() != '/')
    return bad("run_dir: must be an absolute path");
  for (const auto& [what, range] :
       {std::pair("pod_cidr", config.pod_cidr), std::pair("service_cidr", config.service_cidr)})
    if (range.prefix < 12 || range.prefix > 30)
      return bad(fmt::format("{} {}: the prefix length must be 12 to 30", what, range.text()));
  if (config.pod_cidr.overlaps(config.service_cidr))
    return bad(fmt::format("pod_cidr {} and service_cidr {} overlap", config.pod_cidr.text(),
                           config.service_cidr.text()));
  if (!config.service_cidr.contains(config.dns_address))
    return bad(fmt::format("dns_address {} is not inside service_cidr {}",
                           config.dns_address.text(), config.service_cidr.text()));
  if (config.mtu != 0 && (config.mtu < 576 || config.mtu > 65535))
    return bad(fmt::format("mtu {}: must be 0 (automatic) or 576 to 65535", config.mtu));
  return {};
}

Result<> setup_host_network(const NetworkConfig& config) {
  MOTH_TRY(validate(config));
  // Writing this file resets other settings, so it is left alone when forwarding is on.
  auto forwarding = read_sysctl("net/ipv4/ip_forward");
  if (!forwarding || *forwarding != "1") MOTH_TRY(write_sysctl("net/ipv4/ip_forward", "1"));

  MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
  std::string name = service_interface(config.instance);
  MOTH_ASSIGN(auto link, sock.find_link(name));
  if (!link) {
    MOTH_TRY(add_service_interface(sock, name));
    try_sysctl("net/ipv6/conf/" + name + "/disable_ipv6", "1");
    MOTH_ASSIGN(link, sock.find_link(name));
    if (!link) return fail(Error::internal("interface " + name + " vanished"));
  }
  MOTH_TRY(sock.set_up(link->index, "moth/" + config.instance + "/services"));
  MOTH_TRY(sock.add_address(link->index, config.dns_address, 32));
  auto routed = sock.set_route(service_route(config, link->index));
  if (!routed) {
    if (config.node_ip && routed.error().os_errno == EINVAL)
      return fail(Error::of(
          Reason::kInvalid,
          fmt::format("node_ip {} is not an address of this machine", config.node_ip->text())));
    return routed;
  }
  MOTH_TRY(sock.set_route(unreachable_route(config)));
  if (config.conntrack_time_wait > 0) {
    const std::string setting = "net/netfilter/nf_conntrack_tcp_timeout_time_wait";
    auto now = read_sysctl(setting);
    if (now && std::atoi(now->c_str()) > config.conntrack_time_wait)
      try_sysctl(setting, std::to_string(config.conntrack_time_wait));
  }
  return {};
}

Result<> remove_host_network(const NetworkConfig& config) {
  MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
  MOTH_TRY(sock.delete_route(unreachable_route(config)));
  return sock.delete_link(service_interface(config.instance));
}

std::optional<Ipv4> detect_node_ip() {
  auto sock = netlink::RouteSocket::open();
  if (!sock) return std::nullopt;
  auto addresses = sock->addresses();
  if (!addresses) return std::nullopt;
  auto uplink = sock->default_interface();
  if (uplink && *uplink)
    for (const auto& [index, address] : *addresses)
      if (index == **uplink) return address.base;
  for (const auto& [index, address] : *addresses) {
    bool link_local = address.base.value >> 16 == 0xa9fe;
    if (address.base.is_loopback() || link_local) continue;
    auto link = sock->link(index);
    if (link && link->alias.rfind("moth/", 0) != 0) return address.base;
  }
  return std::nullopt;
}

}  // namespace moth::network
