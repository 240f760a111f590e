#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "runtime/network/netlink/conntrack.h"
#include "runtime/network/netlink/route.h"
#include "runtime/network/sysctl.h"
#include "tests/unit/runtime/network/net_lab.h"

namespace moth::network::netlink {
namespace {

using namespace lab;

TEST(Route, LinksAddressesRoutes) {
  in_lab([] {
    auto sock = RouteSocket::open();
    ASSERT_TRUE(sock);
    EXPECT_FALSE(*sock->find_link("nothing"));
    EXPECT_FALSE(*sock->default_interface());
    ASSERT_TRUE(sock->add_veth({"a", "b", {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 4}, 1400, -1}));
    auto twice = sock->add_veth({"a", "b", {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 4}, 1400, -1});
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().os_errno, EEXIST);
    auto link = *sock->find_link("a");
    ASSERT_TRUE(link);
    EXPECT_EQ(link->mtu, 1400);
    EXPECT_EQ(to_string(link->mac), "02:00:00:00:00:02");
    EXPECT_FALSE(link->up);
    ASSERT_TRUE(sock->set_up(link->index, "moth/test"));
    EXPECT_TRUE(sock->link(link->index)->up);
    EXPECT_EQ(sock->link(link->index)->alias, "moth/test");
    ASSERT_TRUE(sock->add_address(link->index, Ipv4::of(192, 0, 2, 1), 24));
    ASSERT_TRUE(sock->add_address(link->index, Ipv4::of(192, 0, 2, 1), 24)) << "twice is fine";
    EXPECT_EQ(sock->addresses()->size(), 1u);
    Route route;
    route.interface = link->index;
    route.gateway = Ipv4::of(192, 0, 2, 254);
    route.destination = {{0}, 0};
    ASSERT_TRUE(sock->set_route(route));
    EXPECT_EQ(*sock->default_interface(), link->index);
    ASSERT_TRUE(sock->delete_route(route));
    EXPECT_TRUE(sock->delete_route(route)) << "missing is fine";
    ASSERT_TRUE(sock->delete_link("a"));
    EXPECT_TRUE(sock->delete_link("a"));
  });
}

TEST(Conntrack, DeletesWhatMatchesAndNothingElse) {
  in_lab([] {
    NetworkConfig config = lab_config();
    NetnsDirectory directory(config.run_dir);
    auto world = make_uplink(directory);
    ASSERT_TRUE(world);
    // Tracking starts with the first rule that asks for it.
    if (std::system("nft add table ip t && nft add chain ip t c '{ type filter hook input priority "
                    "0; }' && "
                    "nft add rule ip t c ct state new accept") == 0) {
      EchoServer udp("u", "", Protocol::kUdp, 53), tcp("t", "", Protocol::kTcp, 53);
      Client udp_client(*world, Protocol::kUdp, {kNode, 53}),
          tcp_client(*world, Protocol::kTcp, {kNode, 53});
      EXPECT_EQ(udp_client.ask(), "u 192.168.77.1");
      EXPECT_EQ(tcp_client.ask(), "t 192.168.77.1");
      FlowFilter filter;
      filter.protocol = Protocol::kUdp;
      filter.matches = [](const Flow& flow) {
        return flow.original_destination == SocketAddress{kNode, 54};
      };
      EXPECT_EQ(*delete_flows(filter), 0u);
      filter.matches = [](const Flow& flow) {
        EXPECT_EQ(flow.protocol, Protocol::kUdp);
        return flow.original_destination == SocketAddress{kNode, 53};
      };
      EXPECT_EQ(*delete_flows(filter), 1u);
      EXPECT_EQ(*delete_flows(filter), 0u);
      EXPECT_EQ(*delete_flows_of(Ipv4::of(192, 0, 2, 1)), 0u);
      EXPECT_EQ(*delete_flows_of(kNode), 1u) << "as the server of the TCP connection";
      EXPECT_EQ(tcp_client.ask(), "t 192.168.77.1");
      EXPECT_EQ(*delete_flows_of(kWorld), 1u) << "as the one who began it";
    }
    EXPECT_TRUE(directory.remove_all());
    ::rmdir(config.run_dir.c_str());
  });
}

// The client may have taken its port again meanwhile, and the new connection may bear the same id.
TEST(Conntrack, AConnectionThatIsOverIsLeftAlone) {
  in_lab([] {
    NetworkConfig config = lab_config();
    NetnsDirectory directory(config.run_dir);
    auto world = make_uplink(directory);
    ASSERT_TRUE(world);
    ASSERT_EQ(std::system("nft add table ip t && nft add chain ip t c '{ type filter hook input "
                          "priority 0; }' && nft add rule ip t c ct state new accept"),
              0);
    auto seen = [] {
      std::size_t count = 0;
      FlowFilter filter;
      filter.protocol = Protocol::kTcp;
      filter.matches = [&](const Flow&) {
        ++count;
        return false;
      };
      EXPECT_EQ(*delete_flows(filter), 0u);
      return count;
    };
    EchoServer server("t", "", Protocol::kTcp, 53);
    {
      Client client(*world, Protocol::kTcp, {kNode, 53});
      EXPECT_EQ(client.ask(), "t 192.168.77.1");
      EXPECT_EQ(seen(), 1u);
    }
    // Both ends have closed: TIME_WAIT follows at once.
    auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (seen() > 0 && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
    EXPECT_EQ(seen(), 0u);
    auto tracked = read_sysctl("net/netfilter/nf_conntrack_count");
    ASSERT_TRUE(tracked);
    EXPECT_EQ(std::atoi(tracked->c_str()), 1) << "it is still there";
    EXPECT_EQ(*delete_flows_of(kWorld), 0u);
    EXPECT_TRUE(directory.remove_all());
    ::rmdir(config.run_dir.c_str());
  });
}

}  // namespace
}  // namespace moth::network::netlink
