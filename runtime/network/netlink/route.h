#pragma once
// Links, addresses, neighbours and routes of the calling thread's namespace (rtnetlink). Blocking.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "runtime/network/address/address.h"
#include "runtime/network/netlink/socket.h"

namespace moth::network::netlink {

using Mac = std::array<std::uint8_t, 6>;
std::string to_string(const Mac& mac);

struct Link {
  int index = 0;
  std::string name;
  std::string alias;
  int mtu = 0;
  Mac mac{};
  bool up = false;
};

struct Veth {
  std::string name, peer_name;
  Mac mac{}, peer_mac{};
  int mtu = 1500;
  int peer_netns = -1;  // descriptor of the namespace that the peer is created in
};

struct Route {
  Cidr destination;
  int interface = 0;            // index; 0: none (unreachable routes)
  std::optional<Ipv4> gateway;  // used onlink
  std::optional<Ipv4> source;   // preferred source address
  bool link_scope = false;
  bool unreachable = false;
  std::uint32_t metric = 0;
};

// An end of a veth that came up before its peer has no queue, and drops what is sent, until the
// kernel has taken note of the carrier. It does that in the background, after up to a second; this
// makes it do so now. Best effort. `inet_socket`: any of the interface's namespace.
void settle_carrier(int inet_socket, const std::string& interface);

class RouteSocket {
 public:
  static Result<RouteSocket> open();

  // nullopt when there is none of that name.
  Result<std::optional<Link>> find_link(const std::string& name);
  Result<Link> link(int index);
  Result<std::vector<Link>> links();
  // Both ends are created down. AlreadyExists as errno EEXIST in the error.
  Result<> add_veth(const Veth& veth);
  // Kind "dummy", "bridge"... without options.
  Result<> add_link(const std::string& name, const std::string& kind);
  Result<> delete_link(const std::string& name);
  Result<> set_up(int index, const std::string& alias = "");
  // Adds or keeps.
  Result<> add_address(int index, Ipv4 address, int prefix);
  Result<std::vector<std::pair<int, Cidr>>>
  addresses();  // interface index, address/prefix as given
  // Adds or replaces.
  Result<> set_route(const Route& route);
  Result<> delete_route(const Route& route);  // missing: success
  Result<> set_neighbour(int index, Ipv4 address, const Mac& mac);
  // Interface of the IPv4 default route of the main table with the lowest metric.
  Result<std::optional<int>> default_interface();

 private:
  explicit RouteSocket(Socket socket) : socket_(std::move(socket)) {}
  Socket socket_;
};

}  // namespace moth::network::netlink
