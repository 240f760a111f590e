#include <gtest/gtest.h>

#include "runtime/network/host_network.h"
#include "runtime/network/hosts_file.h"
#include "runtime/network/resolv_conf.h"

namespace moth::network {
namespace {

const ResolvConf kHost{{"192.0.2.53"}, {"example.org"}, {"timeout:1"}};

PodDns pod_in(std::string ns) {
  PodDns pod;
  pod.pod_namespace = std::move(ns);
  pod.dns_address = "10.96.0.10";
  return pod;
}

TEST(ResolvConf, ParsesAsLibcDoes) {
  ResolvConf conf = parse_resolv_conf(
      "# comment\nnameserver 1.1.1.1 # one\nnameserver 8.8.8.8\ndomain old.example\n"
      "search a.example b.example.\noptions ndots:2 rotate\noptions ndots:3\nfoo "
      "bar\nnameserver\n");
  EXPECT_EQ(conf.nameservers, (std::vector<std::string>{"1.1.1.1", "8.8.8.8"}));
  EXPECT_EQ(conf.searches, (std::vector<std::string>{"a.example", "b.example"}));
  EXPECT_EQ(conf.options, (std::vector<std::string>{"ndots:3", "rotate"}));
}

TEST(ResolvConf, ClusterFirst) {
  EXPECT_EQ(render_resolv_conf(build_resolv_conf(pod_in("shop"), kHost).conf),
            "search shop.svc.cluster.local svc.cluster.local cluster.local example.org\n"
            "nameserver 10.96.0.10\n"
            "options ndots:5\n");
}

TEST(ResolvConf, HostNetworkPodsUseTheHostsUnlessTheyAskOtherwise) {
  PodDns pod = pod_in("shop");
  pod.host_network = true;
  EXPECT_EQ(render_resolv_conf(build_resolv_conf(pod, kHost).conf),
            "search example.org\nnameserver 192.0.2.53\noptions timeout:1\n");
  pod.policy = DnsPolicy::kClusterFirstWithHostNet;
  EXPECT_EQ(build_resolv_conf(pod, kHost).conf.nameservers, std::vector<std::string>{"10.96.0.10"});
}

TEST(ResolvConf, DnsConfigIsMerged) {
  PodDns pod = pod_in("shop");
  pod.nameservers = {"9.9.9.9", "10.96.0.10"};
  pod.searches = {"corp.example", "cluster.local"};
  pod.options = {"ndots:2", "edns0"};
  ResolvConf conf = build_resolv_conf(pod, {}).conf;
  EXPECT_EQ(conf.nameservers, (std::vector<std::string>{"10.96.0.10", "9.9.9.9"}));
  EXPECT_EQ(conf.searches.size(), 4u);
  EXPECT_EQ(conf.searches.back(), "corp.example");
  EXPECT_EQ(conf.options, (std::vector<std::string>{"ndots:2", "edns0"}));
  pod.policy = DnsPolicy::kNone;
  conf = build_resolv_conf(pod, kHost).conf;
  EXPECT_EQ(conf.nameservers, (std::vector<std::string>{"9.9.9.9", "10.96.0.10"}));
  EXPECT_EQ(conf.searches, (std::vector<std::string>{"corp.example", "cluster.local"}));
}

TEST(ResolvConf, LimitsAreKeptAndReported) {
  PodDns pod = pod_in("shop");
  pod.nameservers = {"1.1.1.1", "2.2.2.2", "3.3.3.3"};
  for (int i = 0; i < 40; ++i) pod.searches.push_back("s" + std::to_string(i) + ".example");
  PodResolvConf result = build_resolv_conf(pod, {});
  EXPECT_EQ(result.conf.nameservers.size(), 3u);
  EXPECT_EQ(result.conf.searches.size(), 32u);
  ASSERT_EQ(result.warnings.size(), 2u);
  EXPECT_EQ(result.warnings[0],
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied "
            "nameserver line "
            "is: 10.96.0.10 1.1.1.1 2.2.2.2");
  pod = pod_in("shop");
  pod.searches.assign(20, "");
  for (int i = 0; i < 20; ++i)
    pod.searches[static_cast<std::size_t>(i)] = std::string(200, static_cast<char>('a' + i));
  result = build_resolv_conf(pod, {});
  std::size_t characters = 0;
  for (const auto& search : result.conf.searches) characters += search.size() + 1;
  EXPECT_LE(characters - 1, 2048u);
  EXPECT_EQ(result.warnings.size(), 1u);
}

TEST(ResolvConf, PolicyNames) {
  EXPECT_EQ(parse_dns_policy(""), DnsPolicy::kClusterFirst);
  EXPECT_EQ(parse_dns_policy("None"), DnsPolicy::kNone);
  EXPECT_FALSE(parse_dns_policy("none"));
}

TEST(HostsFile, Texts) {
  PodHosts pod;
  pod.pod_ips = {"10.244.0.5"};
  pod.hostname = "web-0";
  pod.pod_namespace = "shop";
  pod.aliases = {{"1.2.3.4", {"db", "db.example"}}};
  std::string plain = build_hosts_file(pod);
  EXPECT_EQ(
      plain,
      "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
      "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::"
      "2\tip6-allrouters\n10.244.0.5\tweb-0\n\n# Entries added by "
      "HostAliases.\n1.2.3.4\tdb\tdb.example\n");
  pod.subdomain = "web";
  EXPECT_NE(build_hosts_file(pod).find("10.244.0.5\tweb-0.web.shop.svc.cluster.local\tweb-0\n"),
            std::string::npos);
  EXPECT_EQ(build_host_network_hosts_file("127.0.0.1 localhost", {}),
            "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n");
}

TEST(Names, InterfacesFitAndDiffer) {
  std::string a = pod_interface("default", "0f9d2c44-1b2c-4a7e-9f00-000000000001");
  EXPECT_EQ(a.size(), 15u);
  EXPECT_EQ(a.substr(5), "0f9d2c441b");
  EXPECT_NE(a, pod_interface("other", "0f9d2c44-1b2c-4a7e-9f00-000000000001"));
  EXPECT_EQ(pod_interface("default", "static-pod").size(), 15u);
  EXPECT_NE(pod_interface("default", "static-pod"), pod_interface("default", "static-pod-2"));
  EXPECT_LE(service_interface("default").size(), 15u);
  EXPECT_EQ(nft_table("my-edge"), "moth_my_edge");
}

TEST(Names, ConfigIsChecked) {
  NetworkConfig good;
  good.run_dir = "/run/x";
  good.pod_cidr = *Cidr::parse("10.244.0.0/16");
  good.service_cidr = *Cidr::parse("10.96.0.0/16");
  good.dns_address = Ipv4::of(10, 96, 0, 10);
  EXPECT_TRUE(validate(good));
  auto broken = [&](auto change) {
    NetworkConfig config = good;
    change(config);
    return !validate(config);
  };
  EXPECT_TRUE(broken([](auto& c) { c.instance = "Bad"; }));
  EXPECT_TRUE(broken([](auto& c) { c.instance = ""; }));
  EXPECT_TRUE(broken([](auto& c) { c.run_dir = "run"; }));
  EXPECT_TRUE(broken([](auto& c) { c.dns_address = Ipv4::of(10, 97, 0, 10); }));
  EXPECT_TRUE(broken([](auto& c) { c.pod_cidr = *Cidr::parse("10.96.0.0/24"); }));
  EXPECT_TRUE(broken([](auto& c) { c.pod_cidr = *Cidr::parse("10.0.0.0/8"); }));
  EXPECT_TRUE(broken([](auto& c) { c.mtu = 100; }));
}

}  // namespace
}  // namespace moth::network
