#include "runtime/network/services/service_proxy.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <set>

#include "runtime/network/pod_network.h"
#include "runtime/network/services/loopback_listeners.h"
#include "runtime/network/services/nft.h"
#include "runtime/network/services/rules.h"
#include "tests/unit/runtime/network/net_lab.h"

namespace moth::network {
namespace {

using namespace lab;

constexpr Ipv4 kVip = Ipv4::of(10, 96, 0, 20);
constexpr Ipv4 kEmptyVip = Ipv4::of(10, 96, 0, 21);
constexpr Ipv4 kLoopback = Ipv4::of(127, 0, 0, 1);

Ipv4 pod_ip(int number) {
  return Ipv4::of(10, 244, 0, 10 + number);
}
std::string uid(int number) {
  return "00000000" + std::to_string(10 + number) + "-test";
}

// Three pods, each answering on TCP and UDP 8080 with its name.
class Cluster {
 public:
  Cluster() : config(lab_config()), pods(config), directory(config.run_dir) {
    auto uplink = make_uplink(directory);
    EXPECT_TRUE(uplink) << uplink.error().message;
    if (uplink) world = *uplink;
    auto ready = setup_host_network(config);
    EXPECT_TRUE(ready) << ready.error().message;
    for (int i = 0; i < 3; ++i) {
      auto attached = pods.attach(uid(i), pod_ip(i));
      EXPECT_TRUE(attached) << attached.error().message;
      netns.push_back(attached ? attached->netns_path : "");
      for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
        servers.push_back(
            std::make_unique<EchoServer>("pod" + std::to_string(i), netns.back(), protocol, 8080));
    }
    start_daemon();
  }
  ~Cluster() {
    stop_daemon();
    servers.clear();
    EXPECT_TRUE(make_kernel_nft()->run(RuleSet::removal(nft_table(config.instance))));
    EXPECT_TRUE(remove_host_network(config));
    EXPECT_TRUE(directory.remove_all());
    std::filesystem::remove(config.run_dir);
  }

  // The daemon's threads; they inherit the lab's namespace.
  void start_daemon() {
    executors = std::make_unique<Executors>(2);
    control = std::thread([this] { executors->run(); });
    proxy = std::make_unique<ServiceProxy>(config, *executors);
  }
  // As a crash: the table stays.
  void stop_daemon() {
    if (!proxy) return;
    asio::co_spawn(executors->control(), proxy->stop(), asio::use_future).get();
    proxy.reset();
    executors->stop();
    control.join();
    executors.reset();
  }
  template <class T>
  T wait(Task<T> task) {
    return asio::co_spawn(executors->control(), std::move(task), asio::use_future).get();
  }
  void start(std::vector<ServiceSpec> services, std::vector<HostPortSpec> host_ports = {}) {
    auto done = wait(proxy->start(std::move(services), std::move(host_ports)));
    ASSERT_TRUE(done) << done.error().message;
  }
  void set(ServiceSpec service) {
    auto done = wait(proxy->set(std::move(service)));
    ASSERT_TRUE(done) << done.error().message;
  }
  // Who answers, over several new connections.
  std::set<std::string> answers(const std::string& from, Protocol protocol, SocketAddress to,
                                int times = 24) {
    std::set<std::string> names;
    for (int i = 0; i < times; ++i) names.insert(ask(from, protocol, to));
    return names;
  }

  NetworkConfig config;
  PodNetwork pods;
  NetnsDirectory directory;
  std::string world;
  std::vector<std::string> netns;
  std::vector<std::unique_ptr<EchoServer>> servers;
  std::unique_ptr<Executors> executors;
  std::thread control;
  std::unique_ptr<ServiceProxy> proxy;
};

ServiceSpec web(std::vector<int> pods, std::uint16_t node_port = 30080) {
  ServiceSpec service;
  service.id = "shop/web";
  service.cluster_ip = kVip;
  std::vector<SocketAddress> endpoints;
  for (int number : pods) endpoints.push_back({pod_ip(number), 8080});
  service.ports = {{"http", Protocol::kTcp, 80, node_port, endpoints},
                   {"udp", Protocol::kUdp, 80, node_port, endpoints}};
  return service;
}

// The kernel tells a local UDP sender of a refusal in the output hook as EPERM.
std::string refused(Protocol protocol, const std::string& from = "pod") {
  return from.empty() && protocol == Protocol::kUdp ? "error: EPERM" : "error: ECONNREFUSED";
}

TEST(ServiceProxy, ClusterIpFromPodAndHost) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1, 2})});
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      EXPECT_EQ(cluster.answers(cluster.netns[0], protocol, {kVip, 80}),
                (std::set<std::string>{"pod1 10.244.0.10", "pod2 10.244.0.10"}));
      EXPECT_EQ(cluster.answers("", protocol, {kVip, 80}),
                (std::set<std::string>{"pod1 192.168.77.2", "pod2 192.168.77.2"}));
    }
  });
}

TEST(ServiceProxy, APodReachesItselfThroughItsService) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({0})});
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      std::string reply = ask(cluster.netns[0], protocol, {kVip, 80});
      EXPECT_EQ(reply.substr(0, 5), "pod0 ") << reply;
      EXPECT_NE(reply, "pod0 10.244.0.10")
          << "its own address would never be answered through the host";
    }
  });
}

TEST(ServiceProxy, NodePortFromEverywhereWithTheClientsAddress) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1})});
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      EXPECT_EQ(ask(cluster.world, protocol, {kNode, 30080}), "pod1 192.168.77.1");
      EXPECT_EQ(ask(cluster.netns[0], protocol, {kNode, 30080}), "pod1 10.244.0.10");
      EXPECT_EQ(ask("", protocol, {kNode, 30080}), "pod1 192.168.77.2");
    }
  });
}

TEST(ServiceProxy, NodePortOnTheLoopbackAddress) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1})});
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      std::string reply;
      // The listener opens on `io` right after the transaction.
      for (int i = 0; i < 200 && reply.rfind("pod1", 0) != 0; ++i) {
        reply = ask("", protocol, {kLoopback, 30080});
        if (reply.rfind("pod1", 0) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      EXPECT_EQ(reply, "pod1 192.168.77.2");
    }
    Client kept("", Protocol::kTcp, {kLoopback, 30080});
    EXPECT_EQ(kept.ask(), "pod1 192.168.77.2");
    cluster.set(web({2}));
    EXPECT_EQ(kept.ask(), "pod1 192.168.77.2") << "open connections run on";
    cluster.set(web({}));
    EXPECT_EQ(ask("", Protocol::kTcp, {kLoopback, 30080}), refused(Protocol::kTcp));
  });
}

TEST(ServiceProxy, WithoutEndpointsClientsAreRefusedAtOnce) {
  in_lab([] {
    Cluster cluster;
    ServiceSpec empty = web({});
    empty.cluster_ip = kEmptyVip;
    empty.external_ips = {Ipv4::of(203, 0, 113, 7)};
    cluster.start({empty});
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      for (const std::string& from : {std::string(), cluster.netns[0]}) {
        EXPECT_EQ(ask(from, protocol, {kEmptyVip, 80}), refused(protocol, from));
        EXPECT_EQ(ask(from, protocol, {kEmptyVip, 81}), refused(protocol, from))
            << "a port nobody has";
        EXPECT_EQ(ask(from, protocol, {Ipv4::of(10, 96, 200, 1), 80}), refused(protocol, from))
            << "no service";
        EXPECT_EQ(ask(from, protocol, {kNode, 30080}), refused(protocol, from));
        EXPECT_EQ(ask(from, protocol, {Ipv4::of(203, 0, 113, 7), 80}), refused(protocol, from));
      }
      EXPECT_EQ(ask(cluster.world, protocol, {kNode, 30080}), refused(protocol));
    }
    empty.ports = web({2}).ports;
    cluster.set(empty);
    for (Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
      EXPECT_EQ(ask(cluster.netns[0], protocol, {kEmptyVip, 80}), "pod2 10.244.0.10");
      EXPECT_EQ(ask(cluster.netns[0], protocol, {Ipv4::of(203, 0, 113, 7), 80}),
                "pod2 10.244.0.10");
    }
  });
}

TEST(ServiceProxy, RemovedEndpointsKeepTheirTcpConnectionsButLoseUdpFlowsAtOnce) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1})});
    Client tcp(cluster.netns[0], Protocol::kTcp, {kVip, 80});
    Client udp(cluster.netns[0], Protocol::kUdp, {kVip, 80});
    Client udp_node(cluster.world, Protocol::kUdp, {kNode, 30080});
    EXPECT_EQ(tcp.ask(), "pod1 10.244.0.10");
    EXPECT_EQ(udp.ask(), "pod1 10.244.0.10");
    EXPECT_EQ(udp_node.ask(), "pod1 192.168.77.1");
    cluster.set(web({2}));
    EXPECT_EQ(tcp.ask(), "pod1 10.244.0.10");
    EXPECT_EQ(udp.ask(), "pod2 10.244.0.10");
    EXPECT_EQ(udp_node.ask(), "pod2 192.168.77.1");
    EXPECT_EQ(cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80}),
              std::set<std::string>{"pod2 10.244.0.10"});
  });
}

TEST(ServiceProxy, AUdpClientThatWasRefusedIsServedOnceThereIsAnEndpoint) {
  in_lab([] {
    Cluster cluster;
    cluster.start({});
    Client early(cluster.world, Protocol::kUdp, {kNode, 30080}, 300);
    EXPECT_EQ(early.ask().substr(0, 6), "error:");
    cluster.set(web({1}));
    EXPECT_EQ(early.ask(), "pod1 192.168.77.1");
  });
}

TEST(ServiceProxy, WithdrawTakesAPodOutBeforeItsSlicesSayso) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1, 2})});
    ASSERT_TRUE(cluster.wait(cluster.proxy->withdraw(pod_ip(1))));
    cluster.set(web({1, 2}));
    EXPECT_EQ(cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80}),
              std::set<std::string>{"pod2 10.244.0.10"});
    ASSERT_TRUE(cluster.wait(cluster.proxy->readmit(pod_ip(1))));
    EXPECT_EQ(cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80}).size(), 2u);
  });
}

TEST(ServiceProxy, SessionAffinity) {
  in_lab([] {
    Cluster cluster;
    ServiceSpec sticky = web({1, 2});
    sticky.affinity_seconds = 600;
    cluster.start({sticky});
    auto first = cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80});
    EXPECT_EQ(first.size(), 1u);
    EXPECT_EQ(cluster.answers("", Protocol::kUdp, {kVip, 80}).size(), 1u);
    EXPECT_EQ(cluster.answers(cluster.world, Protocol::kTcp, {kNode, 30080}).size(), 1u);
    // Another endpoint, and a restart of the daemon, move nobody.
    ServiceSpec more = web({0, 1, 2});
    more.affinity_seconds = 600;
    cluster.set(more);
    EXPECT_EQ(cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80}), first);
    cluster.stop_daemon();
    cluster.start_daemon();
    cluster.start({more});
    EXPECT_EQ(cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80}), first);
    // Its endpoint goes: another one takes over, for good.
    int served = (*first.begin())[3] - '0';
    ServiceSpec fewer = web({1, 2});
    fewer.affinity_seconds = 600;
    std::erase_if(fewer.ports[0].endpoints,
                  [&](const SocketAddress& a) { return a.ip == pod_ip(served); });
    cluster.set(fewer);
    auto second = cluster.answers(cluster.netns[0], Protocol::kTcp, {kVip, 80});
    EXPECT_EQ(second.size(), 1u);
    EXPECT_NE(second, first);
    ASSERT_TRUE(cluster.wait(cluster.proxy->erase("shop/web")));
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kVip, 80}), refused(Protocol::kTcp));
  });
}

TEST(ServiceProxy, HostPortsAndMasqueradeOfPodsTalkingToTheWorld) {
  in_lab([] {
    Cluster cluster;
    HostPortSpec ports{uid(1),
                       {{std::nullopt, Protocol::kTcp, 8088, {pod_ip(1), 8080}},
                        {kNode, Protocol::kUdp, 8089, {pod_ip(1), 8080}}}};
    cluster.start({}, {ports});
    EXPECT_EQ(ask(cluster.world, Protocol::kTcp, {kNode, 8088}), "pod1 192.168.77.1");
    EXPECT_EQ(ask(cluster.world, Protocol::kUdp, {kNode, 8089}), "pod1 192.168.77.1");
    EchoServer outside("world", cluster.world, Protocol::kTcp, 443);
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kWorld, 443}), "world 192.168.77.2");
    // An endpoint beyond the machine, for a client beyond the machine.
    ServiceSpec service = web({});
    service.ports = {{"", Protocol::kTcp, 80, 30443, {{kWorld, 443}}}};
    cluster.set(service);
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kVip, 80}), "world 192.168.77.2");
    EXPECT_EQ(ask(cluster.world, Protocol::kTcp, {kNode, 30443}), "world 192.168.77.2");
    ASSERT_TRUE(cluster.wait(cluster.proxy->erase(uid(1))));
    EXPECT_EQ(ask(cluster.world, Protocol::kTcp, {kNode, 8088}), refused(Protocol::kTcp));
  });
}

// The rule of the house: not one failed request while endpoints change and the daemon restarts.
TEST(ServiceProxy, NoRequestFailsDuringChangesAndRestarts) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({0, 1, 2})});
    std::atomic<bool> stop{false};
    struct Load {
      std::string bad;
      int requests = 0;
      std::chrono::milliseconds slowest{0};
    };
    Load outside, inside;
    auto run_load = [&stop](Load& load, const std::string& netns, SocketAddress to) {
      (void)run_in_netns(netns, [&]() -> Result<> {
        while (!stop && load.bad.empty()) {
          auto began = std::chrono::steady_clock::now();
          std::string reply = ask("", Protocol::kTcp, to);
          if (reply.rfind("pod", 0) != 0) load.bad = reply;
          load.slowest =
              std::max(load.slowest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                         std::chrono::steady_clock::now() - began));
          ++load.requests;
        }
        return {};
      });
    };
    std::thread first([&] { run_load(outside, cluster.world, {kNode, 30080}); });
    std::thread second([&] { run_load(inside, cluster.netns[0], {kVip, 80}); });
    const std::vector<std::vector<int>> steps = {{1, 2}, {2}, {0, 2}, {0, 1, 2}, {1}, {0}, {2, 1}};
    for (int round = 0; round < 60; ++round) {
      cluster.set(web(steps[static_cast<std::size_t>(round) % steps.size()]));
      if (round % 15 == 14) {
        cluster.stop_daemon();
        cluster.start_daemon();
        cluster.start({web({0, 1, 2})});
      }
    }
    stop = true;
    first.join();
    second.join();
    for (const Load* load : {&outside, &inside}) {
      EXPECT_EQ(load->bad, "") << "after " << load->requests;
      EXPECT_GE(load->requests, 100);
      // A lost packet would be sent again after a second.
      EXPECT_LT(load->slowest.count(), 900);
    }
  });
}

// A connection of a pod to itself, translated by one state of the table, is masqueraded by the
// next: else it would be lost, and all further tries of the client with it.
TEST(ServiceProxy, APodThatCallsItselfLosesNothingWhenItGoes) {
  in_lab([] {
    Cluster cluster;
    auto served_by = [](int number) {
      ServiceSpec service = web({number}, 0);
      service.ports.resize(1);  // without UDP, a change takes a millisecond
      return service;
    };
    cluster.start({served_by(0)});
    // A client that closes first has each source port once a minute: far fewer requests than ports,
    // or connect() searches.
    constexpr int kRequests = 10'000;
    std::atomic<bool> stop{false}, asked_all{false};
    std::string bad;
    std::set<std::string> seen;
    std::thread client([&] {
      (void)run_in_netns(cluster.netns[0], [&]() -> Result<> {
        for (int asked = 0; asked < kRequests && !stop && bad.empty(); ++asked) {
          std::string reply = Client("", Protocol::kTcp, {kVip, 80}, 900).ask();
          if (reply.rfind("pod", 0) != 0) bad = reply;
          seen.insert(reply.substr(0, 4));
        }
        asked_all = true;
        return {};
      });
    });
    for (int round = 1; round <= 2000 && !asked_all; ++round) {
      if (round % 401 == 0) {
        cluster.stop_daemon();
        cluster.start_daemon();
        cluster.start({served_by(round / 401 % 2)});
      } else {
        cluster.set(served_by(round % 2));
      }
    }
    stop = true;
    client.join();
    EXPECT_EQ(bad, "");
    EXPECT_EQ(seen, (std::set<std::string>{"pod0", "pod1"}));
  });
}

TEST(ServiceProxy, ATableThatWasTamperedWithIsRepaired) {
  in_lab([] {
    Cluster cluster;
    cluster.start({web({1})});
    auto nft = make_kernel_nft();
    std::string table = nft_table(cluster.config.instance);
    ASSERT_TRUE(nft->run("flush ruleset\n"));
    cluster.set(web({2}));
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kVip, 80}), "pod2 10.244.0.10");
    EXPECT_EQ(cluster.proxy->statistics().full_loads, 2u);
    EXPECT_EQ(cluster.proxy->statistics().failures, 0u);
    // Something of another shape under our names: replaced as a whole.
    ASSERT_TRUE(nft->run("delete table ip " + table + "\nadd table ip " + table +
                         "\nadd chain ip " + table + " layout_1\nadd set ip " + table +
                         " ep_tcp { type ipv4_addr; }\n"));
    cluster.set(web({1}));
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kVip, 80}), "pod1 10.244.0.10");
    ASSERT_TRUE(cluster.wait(cluster.proxy->remove()));
    EXPECT_FALSE(nft->inspect(table)->present);
  });
}

TEST(ServiceProxy, ManyCallersAtOnceShareTransactions) {
  in_lab([] {
    Cluster cluster;
    cluster.start({});
    std::vector<std::future<Result<>>> pending;
    for (int i = 0; i < 200; ++i) {
      ServiceSpec service = web({i % 3}, 0);
      service.id = "shop/" + std::to_string(i);
      service.cluster_ip = Ipv4{kVip.value + static_cast<std::uint32_t>(i)};
      pending.push_back(asio::co_spawn(cluster.executors->control(), cluster.proxy->set(service),
                                       asio::use_future));
    }
    for (auto& each : pending) EXPECT_TRUE(each.get());
    EXPECT_EQ(cluster.proxy->statistics().frontends, 400u);
    EXPECT_LT(cluster.proxy->statistics().transactions, 200u);
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {Ipv4{kVip.value + 199}, 80}),
              "pod1 10.244.0.10");
    // apply() erases what is not named.
    ASSERT_TRUE(cluster.wait(cluster.proxy->apply({web({2})})));
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {kVip, 80}), "pod2 10.244.0.10");
    EXPECT_EQ(ask(cluster.netns[0], Protocol::kTcp, {Ipv4{kVip.value + 199}, 80}),
              "error: ECONNREFUSED");
  });
}

}  // namespace
}  // namespace moth::network
