#include "runtime/network/netlink/route.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>
#include <map>

namespace moth::network::netlink {

namespace {

std::map<int, const rtattr*> attributes(const rtattr* first, int left) {
  std::map<int, const rtattr*> result;
  for (const rtattr* at = first; RTA_OK(at, left); at = RTA_NEXT(at, left))
    result[at->rta_type & NLA_TYPE_MASK] = at;
  return result;
}

template <class T>
T value(const rtattr* attribute) {
  T result{};
  std::memcpy(&result, RTA_DATA(attribute),
              std::min<std::size_t>(sizeof result, RTA_PAYLOAD(attribute)));
  return result;
}

std::string text(const rtattr* attribute) {
  const char* data = static_cast<const char*>(RTA_DATA(attribute));
  return std::string(data, ::strnlen(data, RTA_PAYLOAD(attribute)));
}

std::uint32_t wire(Ipv4 address) {
  return htonl(address.value);
}

Link parse_link(const nlmsghdr& message) {
  Link link;
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  link.index = info->ifi_index;
  link.up = info->ifi_flags & IFF_UP;
  auto found = attributes(IFLA_RTA(info), static_cast<int>(IFLA_PAYLOAD(&message)));
  if (found.count(IFLA_IFNAME)) link.name = text(found[IFLA_IFNAME]);
  if (found.count(IFLA_IFALIAS)) link.alias = text(found[IFLA_IFALIAS]);
  if (found.count(IFLA_MTU)) link.mtu = static_cast<int>(value<std::uint32_t>(found[IFLA_MTU]));
  if (found.count(IFLA_ADDRESS) && RTA_PAYLOAD(found[IFLA_ADDRESS]) == 6)
    std::memcpy(link.mac.data(), RTA_DATA(found[IFLA_ADDRESS]), 6);
  return link;
}

Message route_message(std::uint16_t type, std::uint16_t flags, const Route& route) {
  Message message(type, flags, sizeof(rtmsg));
  auto* head = message.header<rtmsg>();
  head->rtm_family = AF_INET;
  head->rtm_dst_len = static_cast<unsigned char>(route.destination.prefix);
  head->rtm_table = RT_TABLE_MAIN;
  head->rtm_protocol = type == RTM_NEWROUTE ? RTPROT_STATIC : RTPROT_UNSPEC;
  head->rtm_type = route.unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
  head->rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE
                    : route.link_scope   ? RT_SCOPE_LINK
                                         : RT_SCOPE_UNIVERSE;
  if (route.gateway) head->rtm_flags = RTNH_F_ONLINK;
  if (route.destination.prefix > 0) message.put_u32(RTA_DST, wire(route.destination.base));
  if (route.interface) message.put_u32(RTA_OIF, static_cast<std::uint32_t>(route.interface));
  if (route.gateway) message.put_u32(RTA_GATEWAY, wire(*route.gateway));
  if (route.source) message.put_u32(RTA_PREFSRC, wire(*route.source));
  if (route.metric) message.put_u32(RTA_PRIORITY, route.metric);
  return message;
}

}  // namespace

std::string to_string(const Mac& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                     mac[4], mac[5]);
}

void settle_carrier(int inet_socket, const std::string& interface) {
  // Whoever asks for the state of a link is told no carrier that cannot be used yet.
  ethtool_value question{ETHTOOL_GLINK, 0};
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&question);
  (void)::ioctl(inet_socket, SIOCETHTOOL, &request);
}

Result<RouteSocket> RouteSocket::open() {
  MOTH_ASSIGN(Socket socket, Socket::open(NETLINK_ROUTE));
  return RouteSocket(std::move(socket));
}

Result<std::optional<Link>> RouteSocket::find_link(const std::string& name) {
  Message message(RTM_GETLINK, 0, sizeof(ifinfomsg));
  message.put_text(IFLA_IFNAME, name.c_str());
  std::optional<Link> found;
  auto done = socket_.dump(message, "find interface " + name, [&](const nlmsghdr& reply) {
    if (reply.nlmsg_type == RTM_NEWLINK) found = parse_link(reply);
  });
  if (!done && done.error().os_errno != ENODEV) return fail(std::move(done).error());
  return found;
}

Result<Link> RouteSocket::link(int index) {
  Message message(RTM_GETLINK, 0, sizeof(ifinfomsg));
  message.header<ifinfomsg>()->ifi_index = index;
  Link found;
  MOTH_TRY(socket_.dump(message, "read an interface", [&](const nlmsghdr& reply) {
    if (reply.nlmsg_type == RTM_NEWLINK) found = parse_link(reply);
  }));
  return found;
}

Result<std::vector<Link>> RouteSocket::links() {
  Message message(RTM_GETLINK, NLM_F_DUMP, sizeof(ifinfomsg));
  std::vector<Link> result;
  MOTH_TRY(socket_.dump(message, "list interfaces", [&](const nlmsghdr& reply) {
    if (reply.nlmsg_type == RTM_NEWLINK) result.push_back(parse_link(reply));
  }));
  return result;
}

Result<> RouteSocket::add_veth(const Veth& veth) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(ifinfomsg));
  message.put_text(IFLA_IFNAME, veth.name.c_str());
  message.put_u32(IFLA_MTU, static_cast<std::uint32_t>(veth.mtu));
  message.put(IFLA_ADDRESS, veth.mac.data(), veth.mac.size());
  std::size_t info = message.begin(IFLA_LINKINFO);
  message.put_text(IFLA_INFO_KIND, "veth");
  std::size_t data = message.begin(IFLA_INFO_DATA);
  std::size_t peer = message.begin(VETH_INFO_PEER);
  message.raw(sizeof(ifinfomsg));
  message.put_text(IFLA_IFNAME, veth.peer_name.c_str());
  message.put_u32(IFLA_MTU, static_cast<std::uint32_t>(veth.mtu));
  message.put(IFLA_ADDRESS, veth.peer_mac.data(), veth.peer_mac.size());
  if (veth.peer_netns >= 0)
    message.put_u32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(veth.peer_netns));
  message.end(peer);
  message.end(data);
  message.end(info);
  return socket_.request(message, "create interface " + veth.name);
}

Result<> RouteSocket::add_link(const std::string& name, const std::string& kind) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof(ifinfomsg));
  message.put_text(IFLA_IFNAME, name.c_str());
  std::size_t info = message.begin(IFLA_LINKINFO);
  message.put_text(IFLA_INFO_KIND, kind.c_str());
  message.end(info);
  return socket_.request(message, fmt::format("create interface {} of kind {}", name, kind));
}

Result<> RouteSocket::delete_link(const std::string& name) {
  Message message(RTM_DELLINK, 0, sizeof(ifinfomsg));
  message.put_text(IFLA_IFNAME, name.c_str());
  auto done = socket_.request(message, "delete interface " + name);
  if (!done && done.error().os_errno == ENODEV) return {};
  return done;
}

Result<> RouteSocket::set_up(int index, const std::string& alias) {
  Message message(RTM_SETLINK, 0, sizeof(ifinfomsg));
  auto* info = message.header<ifinfomsg>();
  info->ifi_index = index;
  info->ifi_flags = IFF_UP;
  info->ifi_change = IFF_UP;
  if (!alias.empty()) message.put(IFLA_IFALIAS, alias.data(), alias.size());
  return socket_.request(message, "set an interface up");
}

Result<> RouteSocket::add_address(int index, Ipv4 address, int prefix) {
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, sizeof(ifaddrmsg));
  auto* info = message.header<ifaddrmsg>();
  info->ifa_family = AF_INET;
  info->ifa_prefixlen = static_cast<unsigned char>(prefix);
  info->ifa_index = static_cast<unsigned>(index);
  info->ifa_scope = address.is_loopback() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  message.put_u32(IFA_LOCAL, wire(address));
  message.put_u32(IFA_ADDRESS, wire(address));
  auto done = socket_.request(message, "add address " + address.text());
  if (!done && done.error().os_errno == EEXIST) return {};
  return done;
}

Result<std::vector<std::pair<int, Cidr>>> RouteSocket::addresses() {
  Message message(RTM_GETADDR, NLM_F_DUMP, sizeof(ifaddrmsg));
  message.header<ifaddrmsg>()->ifa_family = AF_INET;
  std::vector<std::pair<int, Cidr>> result;
  MOTH_TRY(socket_.dump(message, "list addresses", [&](const nlmsghdr& reply) {
    if (reply.nlmsg_type != RTM_NEWADDR) return;
    const auto* info = static_cast<const ifaddrmsg*>(NLMSG_DATA(&reply));
    auto found = attributes(IFA_RTA(info), static_cast<int>(IFA_PAYLOAD(&reply)));
    if (!found.count(IFA_LOCAL)) return;
    Ipv4 address{ntohl(value<std::uint32_t>(found[IFA_LOCAL]))};
    result.push_back({static_cast<int>(info->ifa_index), Cidr{address, info->ifa_prefixlen}});
  }));
  return result;
}

Result<> RouteSocket::set_route(const Route& route) {
  Message message = route_message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
  return socket_.request(message, "route " + route.destination.text());
}

Result<> RouteSocket::delete_route(const Route& route) {
  Message message = route_message(RTM_DELROUTE, 0, route);
  auto done = socket_.request(message, "delete the route to " + route.destination.text());
  if (!done && done.error().os_errno == ESRCH) return {};
  return done;
}

Result<> RouteSocket::set_neighbour(int index, Ipv4 address, const Mac& mac) {
  Message message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, sizeof(ndmsg));
  auto* info = message.header<ndmsg>();
  info->ndm_family = AF_INET;
  info->ndm_ifindex = index;
  info->ndm_state = NUD_PERMANENT;
  message.put_u32(NDA_DST, wire(address));
  message.put(NDA_LLADDR, mac.data(), mac.size());
  return socket_.request(message, "set the neighbour " + address.text());
}

Result<std::optional<int>> RouteSocket::default_interface() {
  Message message(RTM_GETROUTE, NLM_F_DUMP, sizeof(rtmsg));
  auto* head = message.header<rtmsg>();
  head->rtm_family = AF_INET;
  head->rtm_table = RT_TABLE_MAIN;
  std::optional<int> best;
  std::uint32_t best_metric = 0;
  MOTH_TRY(socket_.dump(message, "list routes", [&](const nlmsghdr& reply) {
    if (reply.nlmsg_type != RTM_NEWROUTE) return;
    const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(&reply));
    if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST ||
        route->rtm_table != RT_TABLE_MAIN)
      return;
    auto found = attributes(RTM_RTA(route), static_cast<int>(RTM_PAYLOAD(&reply)));
    if (!found.count(RTA_OIF)) return;
    std::uint32_t metric =
        found.count(RTA_PRIORITY) ? value<std::uint32_t>(found[RTA_PRIORITY]) : 0;
    if (best && metric >= best_metric) return;
    best = static_cast<int>(value<std::uint32_t>(found[RTA_OIF]));
    best_metric = metric;
  }));
  return best;
}

}  // namespace moth::network::netlink
