#include "runtime/network/services/rules.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moth::network {
namespace {

const RulesConfig kConfig{"moth_t", "m0000", *Cidr::parse("10.244.0.0/24"),
                          *Cidr::parse("10.96.0.0/16"), Ipv4::of(10, 96, 0, 10)};

SocketAddress pod(int last, std::uint16_t port = 8080) {
  return {Ipv4::of(10, 244, 0, last), port};
}

ServiceSpec web(std::vector<SocketAddress> endpoints) {
  ServiceSpec service;
  service.id = "shop/web";
  service.cluster_ip = Ipv4::of(10, 96, 0, 20);
  service.ports = {{"http", Protocol::kTcp, 80, 0, std::move(endpoints)}};
  return service;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(RuleSet, NothingToDoGivesAnEmptyTransaction) {
  RuleSet rules(kConfig);
  rules.full_load({});
  EXPECT_TRUE(rules.flush().empty());
  rules.set(web({pod(2)}));
  EXPECT_FALSE(rules.flush().empty());
  rules.set(web({pod(2)}));
  EXPECT_TRUE(rules.flush().empty());
  rules.set(web({pod(2), pod(2)}));
  EXPECT_TRUE(rules.flush().empty()) << "duplicates do not matter";
}

TEST(RuleSet, AddingAnEndpointAddsElementsAlone) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2), pod(3)}));
  ServiceSpec other = web({pod(4), pod(5), pod(6)});
  other.id = "shop/other";
  other.cluster_ip = Ipv4::of(10, 96, 0, 21);
  rules.set(other);
  rules.full_load({});
  rules.set(web({pod(2), pod(3), pod(7)}));
  EXPECT_EQ(rules.flush().text,
            "delete element ip moth_t n2 { 10.96.0.20 . tcp . 80 }\n"
            "add element ip moth_t ep_tcp { 10.96.0.20 . 80 . 2 : 10.244.0.7 . 8080 }\n"
            "add element ip moth_t hairpin { 10.244.0.7 . 10.244.0.7 }\n"
            "add element ip moth_t n3 { 10.96.0.20 . tcp . 80 }\n");
}

TEST(RuleSet, RemovingAnEndpointMovesTheLastIntoItsPlace) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2), pod(3), pod(4)}));
  rules.full_load({});
  rules.set(web({pod(3), pod(4)}));
  Transaction transaction = rules.flush();
  // A packet that is under way knows the rules of the moment in which it came.
  EXPECT_EQ(transaction.ahead,
            "add set ip moth_t n2 { type ipv4_addr . inet_proto . inet_service; }\n"
            "add chain ip moth_t n2\n"
            "add rule ip moth_t addresses ip daddr . meta l4proto . th dport @n2 goto n2\n"
            "add rule ip moth_t n2 meta l4proto tcp dnat ip to ip daddr . tcp dport . numgen "
            "random mod 2 map @ep_tcp\n"
            "add rule ip moth_t n2 meta l4proto tcp dnat ip to ip daddr . tcp dport . numgen inc "
            "mod 1 map @ep_tcp\n"
            "add rule ip moth_t n2 meta l4proto udp dnat ip to ip daddr . udp dport . numgen "
            "random mod 2 map @ep_udp\n"
            "add rule ip moth_t n2 meta l4proto udp dnat ip to ip daddr . udp dport . numgen inc "
            "mod 1 map @ep_udp\n"
            "add rule ip moth_t n2 meta l4proto sctp dnat ip to ip daddr . sctp dport . numgen "
            "random mod 2 map @ep_sctp\n"
            "add rule ip moth_t n2 meta l4proto sctp dnat ip to ip daddr . sctp dport . numgen inc "
            "mod 1 map @ep_sctp\n");
  EXPECT_EQ(transaction.text,
            "delete element ip moth_t ep_tcp { 10.96.0.20 . 80 . 0 : 10.244.0.2 . 8080, "
            "10.96.0.20 . 80 . 2 : 10.244.0.4 . 8080 }\n"
            "delete element ip moth_t n3 { 10.96.0.20 . tcp . 80 }\n"
            "add element ip moth_t ep_tcp { 10.96.0.20 . 80 . 0 : 10.244.0.4 . 8080 }\n"
            "add element ip moth_t n2 { 10.96.0.20 . tcp . 80 }\n");
}

TEST(RuleSet, ReplacingAnEndpointKeepsTheCount) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2), pod(3)}));
  rules.full_load({});
  rules.set(web({pod(3), pod(9)}));
  EXPECT_EQ(rules.flush().text,
            "delete element ip moth_t ep_tcp { 10.96.0.20 . 80 . 0 : 10.244.0.2 . 8080 }\n"
            "add element ip moth_t ep_tcp { 10.96.0.20 . 80 . 0 : 10.244.0.9 . 8080 }\n"
            "add element ip moth_t hairpin { 10.244.0.9 . 10.244.0.9 }\n");
}

TEST(RuleSet, OnlyFrontendsOutsideTheServiceRangeAreListedWhenEmpty) {
  RuleSet rules(kConfig);
  ServiceSpec service = web({});
  service.ports[0].node_port = 30080;
  service.external_ips = {Ipv4::of(192, 0, 2, 7)};
  rules.set(service);
  std::string text = rules.full_load({}).text;
  EXPECT_TRUE(has(text, "add element ip moth_t none { 192.0.2.7 . tcp . 80 }"));
  EXPECT_TRUE(has(text, "add element ip moth_t npnone { tcp . 30080 }"));
  EXPECT_FALSE(has(text, "10.96.0.20"));
  service.ports[0].endpoints = {pod(2)};
  rules.set(service);
  text = rules.flush().text;
  EXPECT_TRUE(has(text, "delete element ip moth_t none { 192.0.2.7 . tcp . 80 }"));
  EXPECT_TRUE(has(text, "delete element ip moth_t npnone { tcp . 30080 }"));
  EXPECT_TRUE(has(text, "add element ip moth_t p1 { tcp . 30080 }"));
}

TEST(RuleSet, TheFirstOwnerOfAFrontendKeepsIt) {
  RuleSet rules(kConfig);
  HostPortSpec first{"uid-1", {{std::nullopt, Protocol::kTcp, 8080, pod(2)}}};
  HostPortSpec second{"uid-2", {{Ipv4{0}, Protocol::kTcp, 8080, pod(3)}}};
  rules.set(first);
  rules.set(second);
  EXPECT_TRUE(has(rules.full_load({}).text, "8080 . 0 : 10.244.0.2 . 8080"));
  rules.erase("uid-1");
  std::string text = rules.flush().text;
  EXPECT_TRUE(has(text, "delete element ip moth_t npep_tcp { 8080 . 0 : 10.244.0.2 . 8080 }"));
  EXPECT_TRUE(has(text, "add element ip moth_t npep_tcp { 8080 . 0 : 10.244.0.3 . 8080 }"));
  rules.erase("uid-2");
  rules.flush();
  EXPECT_EQ(rules.frontends(), 0u);
}

TEST(RuleSet, LoopbackHostPortsAreLeftToTheListeners) {
  RuleSet rules(kConfig);
  rules.full_load({});
  const Ipv4 loopback = Ipv4::of(127, 0, 0, 1);
  rules.set(HostPortSpec{"uid-1", {{loopback, Protocol::kTcp, 8080, pod(2)}}});
  EXPECT_FALSE(has(rules.flush().text, "127.0.0.1"));
  EXPECT_EQ(rules.local_frontends(), (std::vector<Frontend>{{loopback, Protocol::kTcp, 8080}}));
  EXPECT_EQ(rules.endpoints(rules.local_frontends()[0]), std::vector<SocketAddress>{pod(2)});
  rules.set(HostPortSpec{"uid-2", {{std::nullopt, Protocol::kTcp, 8080, pod(3)}}});
  EXPECT_EQ(rules.local_frontends(), (std::vector<Frontend>{{std::nullopt, Protocol::kTcp, 8080}}));
}

TEST(RuleSet, WithdrawnEndpointsStayOutWhateverIsSet) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2), pod(3)}));
  rules.full_load({});
  rules.withdraw(Ipv4::of(10, 244, 0, 2));
  EXPECT_TRUE(has(rules.flush().text, "10.244.0.2 . 8080"));
  rules.set(web({pod(2), pod(3)}));
  EXPECT_TRUE(rules.flush().empty());
  EXPECT_EQ(rules.endpoints({Ipv4::of(10, 96, 0, 20), Protocol::kTcp, 80}),
            std::vector<SocketAddress>{pod(3)});
  rules.readmit(Ipv4::of(10, 244, 0, 2));
  EXPECT_FALSE(rules.flush().empty());
  EXPECT_EQ(rules.endpoints({Ipv4::of(10, 96, 0, 20), Protocol::kTcp, 80}).size(), 2u);
}

TEST(RuleSet, UdpChangesAreReportedForConntrack) {
  RuleSet rules(kConfig);
  ServiceSpec service = web({pod(2), pod(3)});
  service.ports[0].protocol = Protocol::kUdp;
  rules.set(service);
  EXPECT_EQ(rules.full_load({}).udp.size(), 1u);
  service.ports[0].endpoints = {pod(2), pod(3), pod(4)};
  rules.set(service);
  EXPECT_TRUE(rules.flush().udp.empty()) << "a new endpoint takes no flow away";
  rules.set(web({pod(3)}));  // the UDP port becomes a TCP port
  Transaction transaction = rules.flush();
  ASSERT_EQ(transaction.udp.size(), 1u);
  EXPECT_EQ(transaction.udp[0].first.protocol, Protocol::kUdp);
  EXPECT_TRUE(transaction.udp[0].second.empty());
}

TEST(RuleSet, AffinityUsesASetPerEndpoint) {
  RuleSet rules(kConfig);
  ServiceSpec service = web({pod(2), pod(3)});
  service.affinity_seconds = 600;
  rules.set(service);
  std::string text = rules.full_load({}).text;
  EXPECT_TRUE(has(text, "{ ip saddr timeout 600s }"));
  EXPECT_TRUE(has(text, "numgen random mod 2 vmap { 0 : goto e_"));
  EXPECT_TRUE(has(text, "add element ip moth_t sticky { 10.96.0.20 . tcp . 80 : goto s_"));
  EXPECT_FALSE(has(text, "add element ip moth_t ep_"));
  service.ports[0].endpoints = {pod(3)};
  rules.set(service);
  text = rules.flush().text;
  EXPECT_TRUE(has(text, "delete set ip moth_t a_"));
  EXPECT_FALSE(has(text, "sticky {")) << "the frontend itself does not change";
  rules.erase("shop/web");
  text = rules.flush().text;
  EXPECT_TRUE(has(text, "delete element ip moth_t sticky"));
  EXPECT_TRUE(has(text, "delete chain ip moth_t s_"));
}

TEST(RuleSet, EndpointsBeyondTheMachineAreMasqueradedInsteadOfHairpinned) {
  RuleSet rules(kConfig);
  rules.set(web({{Ipv4::of(203, 0, 113, 9), 443}}));
  std::string text = rules.full_load({}).text;
  EXPECT_TRUE(has(text, "add element ip moth_t outside { 203.0.113.9 }"));
  EXPECT_FALSE(has(text, "element ip moth_t hairpin"));
}

// A packet that was translated before a transaction is masqueraded after it.
TEST(RuleSet, MasqueradingOutlivesAnEndpoint) {
  const std::string add = "add element ip moth_t hairpin { 10.244.0.2 . 10.244.0.2 }\n";
  const std::string remove = "delete element ip moth_t hairpin { 10.244.0.2 . 10.244.0.2 }\n";
  RuleSet rules(kConfig);
  rules.set(web({pod(2), {Ipv4::of(203, 0, 113, 9), 443}}));
  rules.full_load({});
  rules.set(web({}));
  EXPECT_FALSE(has(rules.flush().text, "hairpin"));
  rules.settle();
  EXPECT_TRUE(rules.flush().empty()) << "it went just now";
  rules.settle();
  EXPECT_EQ(rules.flush().text, remove + "delete element ip moth_t outside { 203.0.113.9 }\n");
  rules.settle();
  EXPECT_TRUE(rules.flush().empty()) << "once is enough";

  rules.set(web({pod(2)}));
  EXPECT_TRUE(has(rules.flush().text, add));
  // Whoever comes back while it lingers finds it there, and it is not removed under its feet.
  for (int settled = 0; settled < 3; ++settled) {
    rules.set(web({}));
    rules.flush();
    for (int i = 0; i < settled; ++i) rules.settle();
    rules.set(web({pod(2)}));
    EXPECT_FALSE(has(rules.flush().text, "hairpin")) << settled;
    rules.settle();
    rules.settle();
    EXPECT_TRUE(rules.flush().empty()) << settled;
  }
}

TEST(RuleSet, MasqueradingOutlivesAFullLoad) {
  ExistingTable existing{true,
                         kRulesLayout,
                         {"nat_pre", "layout_1"},
                         {"hairpin", "outside", "n1"},
                         {},
                         {"10.244.0.2 . 10.244.0.2", "10.244.0.3 . 10.244.0.3"},
                         {"203.0.113.9"}};
  RuleSet rules(kConfig);
  rules.set(web({pod(3)}));
  std::string text = rules.full_load(existing).text;
  EXPECT_TRUE(has(text, "flush set ip moth_t n1\n"));
  for (const char* name : {"hairpin", "outside"}) {
    EXPECT_FALSE(has(text, std::string("flush set ip moth_t ") + name));
    EXPECT_FALSE(has(text, std::string("element ip moth_t ") + name));
  }
  rules.settle();
  rules.settle();
  EXPECT_EQ(rules.flush().text,
            "delete element ip moth_t hairpin { 10.244.0.2 . 10.244.0.2 }\n"
            "delete element ip moth_t outside { 203.0.113.9 }\n");
  // Nothing can be kept of a table that is replaced.
  existing.layout = "layout_0";
  EXPECT_TRUE(has(rules.full_load(existing).text, "hairpin { 10.244.0.3 . 10.244.0.3 }"));
  rules.settle();
  rules.settle();
  EXPECT_TRUE(rules.flush().empty());
}

TEST(RuleSet, ATakeOverMakesTheCountsThatAreNewAhead) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2), pod(3)}));
  ExistingTable existing{
      true, kRulesLayout, {"addresses", "n1", "layout_1"}, {"n1", "hairpin", "outside"}, {}, {},
      {}};
  Transaction transaction = rules.full_load(existing);
  EXPECT_TRUE(has(transaction.ahead, "add rule ip moth_t addresses"));
  EXPECT_TRUE(has(transaction.ahead, "@n2 goto n2"));
  EXPECT_TRUE(has(transaction.text, "flush chain ip moth_t n2\n")) << "what was made ahead";
  EXPECT_TRUE(has(transaction.text, "@n2 goto n2")) << "since the chain was flushed";
  EXPECT_TRUE(has(transaction.text, "delete chain ip moth_t n1\n"));
  existing.chains.push_back("n2");
  existing.sets.push_back("n2");
  EXPECT_EQ(rules.full_load(existing).ahead, "");
  EXPECT_EQ(rules.full_load({}).ahead, "") << "no table, no packets";
  rules.set(web({pod(2)}));
  EXPECT_TRUE(has(rules.flush().ahead, "@n1 goto n1"));
  rules.set(web({pod(2), pod(3)}));
  EXPECT_EQ(rules.flush().ahead, "") << "it is there since the load";
}

TEST(RuleSet, TakeOverKeepsBaseChainsAndAffinity) {
  RuleSet rules(kConfig);
  rules.set(web({pod(2)}));
  ExistingTable existing{true,
                         kRulesLayout,
                         {"nat_pre", "n1", "n7", "s_old", "layout_1"},
                         {"n1", "n7", "none", "a_old"},
                         {"ep_tcp"},
                         {},
                         {}};
  std::string text = rules.full_load(existing).text;
  EXPECT_FALSE(has(text, "delete table"));
  EXPECT_FALSE(has(text, "delete chain ip moth_t nat_pre"));
  EXPECT_FALSE(has(text, "delete chain ip moth_t n1\n"));
  EXPECT_TRUE(has(text, "flush set ip moth_t n1\n"));
  EXPECT_TRUE(has(text, "flush map ip moth_t ep_tcp\n"));
  EXPECT_TRUE(has(text, "delete chain ip moth_t n7\n"));
  EXPECT_TRUE(has(text, "delete set ip moth_t n7\n"));
  EXPECT_TRUE(has(text, "delete chain ip moth_t s_old\n"));
  EXPECT_TRUE(has(text, "delete set ip moth_t a_old\n"));
  EXPECT_FALSE(has(text, "flush set ip moth_t a_old"));
  existing.layout = "layout_0";
  EXPECT_TRUE(has(rules.full_load(existing).text, "delete table ip moth_t\nadd table ip moth_t\n"));
}

TEST(RuleSet, AChangeAmongThousandsIsSmall) {
  RuleSet rules(kConfig);
  for (int i = 0; i < 3000; ++i) {
    ServiceSpec service = web({pod(2), pod(3)});
    service.id = "ns/" + std::to_string(i);
    service.cluster_ip =
        Ipv4{kConfig.service_cidr.base.value + 100 + static_cast<std::uint32_t>(i)};
    rules.set(service);
  }
  rules.full_load({});
  ServiceSpec service = web({pod(2), pod(4)});
  service.id = "ns/7";
  service.cluster_ip = Ipv4{kConfig.service_cidr.base.value + 107};
  rules.set(service);
  EXPECT_LE(lines(rules.flush().text), 4u);
}

}  // namespace
}  // namespace moth::network
