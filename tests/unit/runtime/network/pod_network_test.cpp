#include "runtime/network/pod_network.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "runtime/network/netlink/conntrack.h"
#include "tests/unit/runtime/network/net_lab.h"

namespace moth::network {
namespace {

using namespace lab;

constexpr const char* kUidA = "aaaaaaaa-0000-4000-8000-000000000001";
constexpr const char* kUidB = "bbbbbbbb-0000-4000-8000-000000000002";
constexpr Ipv4 kPodA = Ipv4::of(10, 244, 0, 5);
constexpr Ipv4 kPodB = Ipv4::of(10, 244, 0, 6);

struct Machine {
  Machine() : config(lab_config()), pods(config), directory(config.run_dir) {
    auto uplink = make_uplink(directory);
    EXPECT_TRUE(uplink) << uplink.error().message;
    if (uplink) world = *uplink;
    auto ready = setup_host_network(config);
    EXPECT_TRUE(ready) << ready.error().message;
  }
  ~Machine() {
    EXPECT_TRUE(remove_host_network(config));
    EXPECT_TRUE(directory.remove_all());
    std::filesystem::remove(config.run_dir);
  }
  NetworkConfig config;
  PodNetwork pods;
  NetnsDirectory directory;
  std::string world;
};

TEST(Netns, CreateListRemove) {
  in_lab([] {
    NetnsDirectory directory(lab_config().run_dir);
    auto path = directory.create("one");
    ASSERT_TRUE(path) << path.error().message;
    EXPECT_TRUE(directory.exists("one"));
    EXPECT_EQ(*directory.create("one"), *path);
    EXPECT_EQ(*directory.list(), std::vector<std::string>{"one"});
    EXPECT_TRUE(directory.remove("one"));
    EXPECT_TRUE(directory.remove("one")) << "removing twice is no error";
    EXPECT_FALSE(directory.exists("one"));
    EXPECT_TRUE(directory.remove_all());
    std::filesystem::remove(std::filesystem::path(*path).parent_path().parent_path());
  });
}

TEST(Netns, AFailingConfigurationLeavesNothing) {
  in_lab([] {
    NetnsDirectory directory(lab_config().run_dir);
    auto path = directory.create("one", [] { return Result<>(fail(Error::bad_request("no"))); });
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().message, "no");
    EXPECT_FALSE(std::filesystem::exists(directory.path("one")));
    EXPECT_TRUE(directory.remove_all());
    std::filesystem::remove(std::filesystem::path(directory.path("x")).parent_path().parent_path());
  });
}

TEST(Netns, TheCallersThreadStaysWhereItIs) {
  in_lab([] {
    auto here = std::filesystem::read_symlink("/proc/thread-self/ns/net");
    EXPECT_TRUE(run_in_new_netns([&]() -> Result<> {
      EXPECT_NE(std::filesystem::read_symlink("/proc/thread-self/ns/net"), here);
      return {};
    }));
    EXPECT_EQ(std::filesystem::read_symlink("/proc/thread-self/ns/net"), here);
  });
}

TEST(PodNetwork, PodsReachEachOtherTheHostAndTheWorld) {
  in_lab([] {
    Machine machine;
    auto a = machine.pods.attach(kUidA, kPodA);
    ASSERT_TRUE(a) << a.error().message;
    auto b = machine.pods.attach(kUidB, kPodB);
    ASSERT_TRUE(b) << b.error().message;
    EchoServer in_b("b", b->netns_path, Protocol::kTcp, 80);
    EchoServer on_host("host", "", Protocol::kTcp, 81);
    // No NAT between pods, nor between host and pod.
    EXPECT_EQ(ask(a->netns_path, Protocol::kTcp, {kPodB, 80}), "b 10.244.0.5");
    EXPECT_EQ(ask("", Protocol::kTcp, {kPodB, 80}), "b 192.168.77.2");
    EXPECT_EQ(ask(a->netns_path, Protocol::kTcp, {kNode, 81}), "host 10.244.0.5");
    EXPECT_EQ(ask(b->netns_path, Protocol::kTcp, {Ipv4::of(127, 0, 0, 1), 80}), "b 127.0.0.1");
    EXPECT_EQ(ask(b->netns_path, Protocol::kTcp, {kPodB, 80}), "b 10.244.0.6");
    auto names = *machine.pods.list();
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{kUidA, kUidB, "world"}));
  });
}

// An interface drops what is sent until the kernel has noticed that its peer came up, too, which it
// does in the background. A lost SYN is sent again after a second.
TEST(PodNetwork, TheFirstPacketIsNotLost) {
  in_lab([] {
    Machine machine;
    EchoServer on_host("host", "", Protocol::kTcp, 81);
    for (int i = 0; i < 40; ++i) {
      std::string uid = "0000" + std::to_string(1000 + i) + "-0000-4000-8000-000000000001";
      Ipv4 ip{Ipv4::of(10, 244, 0, 10).value + static_cast<std::uint32_t>(i)};
      auto pod = machine.pods.attach(uid, ip);
      ASSERT_TRUE(pod) << pod.error().message;
      std::string reply = Client(pod->netns_path, Protocol::kTcp, {kNode, 81}, 900).ask();
      ASSERT_EQ(reply, "host " + ip.text()) << "pod " << i;
    }
  });
}

TEST(PodNetwork, AttachIsIdempotentAndRepairs) {
  in_lab([] {
    Machine machine;
    ASSERT_TRUE(machine.pods.attach(kUidA, kPodA));
    EXPECT_TRUE(machine.pods.complete(kUidA, kPodA));
    EXPECT_FALSE(machine.pods.complete(kUidA, kPodB));
    EXPECT_FALSE(machine.pods.complete(kUidB, kPodB));
    // A server started before stays reachable: the namespace was kept.
    EchoServer server("a", machine.pods.netns_path(kUidA), Protocol::kTcp, 80);
    ASSERT_TRUE(PodNetwork(machine.config).attach(kUidA, kPodA));
    EXPECT_EQ(ask("", Protocol::kTcp, {kPodA, 80}), "a 192.168.77.2");
    // Without its host end the pod's network is incomplete and made anew.
    auto sock = netlink::RouteSocket::open();
    ASSERT_TRUE(sock->delete_link(pod_interface(machine.config.instance, kUidA)));
    EXPECT_FALSE(machine.pods.complete(kUidA, kPodA));
    ASSERT_TRUE(machine.pods.attach(kUidA, kPodA));
    EXPECT_TRUE(machine.pods.complete(kUidA, kPodA));
  });
}

TEST(PodNetwork, DetachRemovesTheLinkAndDeadAddressesAreUnreachable) {
  in_lab([] {
    Machine machine;
    ASSERT_TRUE(machine.pods.attach(kUidA, kPodA));
    ASSERT_TRUE(machine.pods.attach(kUidB, kPodB));
    ASSERT_TRUE(machine.pods.detach(kUidB, kPodB));
    EXPECT_TRUE(machine.pods.detach(kUidB, kPodB)) << "detaching twice is no error";
    EXPECT_FALSE(machine.directory.exists(kUidB));
    // The kernel removes the veth in the background.
    auto sock = netlink::RouteSocket::open();
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    std::string name = pod_interface(machine.config.instance, kUidB);
    while (*sock->find_link(name) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_FALSE(*sock->find_link(name));
    EXPECT_EQ(ask(machine.pods.netns_path(kUidA), Protocol::kTcp, {kPodB, 80}),
              "error: EHOSTUNREACH");
    EXPECT_EQ(ask("", Protocol::kTcp, {kPodB, 80}), "error: EHOSTUNREACH");
    // The same uid may come again at once.
    ASSERT_TRUE(machine.pods.attach(kUidB, kPodB));
    EXPECT_TRUE(machine.pods.complete(kUidB, kPodB));
  });
}

// As a connection does whose other end vanished: the kernel keeps the veth until it gives up.
TEST(PodNetwork, SweepRemovesTheLinkOfANamespaceThatSomethingKeepsAlive) {
  in_lab([] {
    Machine machine;
    auto a = machine.pods.attach(kUidA, kPodA);
    auto b = machine.pods.attach(kUidB, kPodB);
    ASSERT_TRUE(a && b);
    int held = ::open(b->netns_path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(held, 0);
    ASSERT_TRUE(machine.pods.detach(kUidB, kPodB));
    auto sock = netlink::RouteSocket::open();
    EXPECT_TRUE(*sock->find_link(b->host_interface)) << "the kernel had no reason to remove it";
    EXPECT_EQ(machine.pods.sweep({kUidA, "world"}).value_or(99), 1u);
    EXPECT_FALSE(*sock->find_link(b->host_interface)) << "at once, not in the background";
    EXPECT_EQ(ask("", Protocol::kTcp, {kPodB, 80}), "error: EHOSTUNREACH");
    EXPECT_TRUE(machine.pods.complete(kUidA, kPodA));
    EXPECT_TRUE(*sock->find_link(service_interface(machine.config.instance)));
    EXPECT_EQ(machine.pods.sweep({kUidA, "world"}).value_or(99), 0u);
    ::close(held);
    // Without pods to keep, everything of pods goes; their server of the world is none of ours.
    EXPECT_EQ(machine.pods.sweep({"world"}).value_or(99), 2u);
    EXPECT_FALSE(*sock->find_link(a->host_interface));
    EXPECT_TRUE(*sock->find_link("eth0"));
  });
}

TEST(PodNetwork, SweepTouchesNeitherOtherInstancesNorNamespacesInUse) {
  in_lab([] {
    Machine machine;
    NetworkConfig foreign = lab_config();
    PodNetwork other(foreign);
    auto theirs = other.attach(kUidA, Ipv4::of(10, 244, 0, 77));
    auto used = machine.pods.attach(kUidB, kPodB);
    ASSERT_TRUE(theirs && used);
    pid_t process = ::fork();
    if (process == 0) {
      int fd = ::open(used->netns_path.c_str(), O_RDONLY | O_CLOEXEC);
      if (::setns(fd, CLONE_NEWNET) == 0) ::pause();
      ::_exit(1);
    }
    for (int i = 0; i < 400 && !machine.directory.in_use(kUidB).value_or(false); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    // One that was cut off before it had its alias, with the other end in nobody's namespace.
    auto sock = netlink::RouteSocket::open();
    std::string cut_off = pod_interface(machine.config.instance, kUidA);
    ASSERT_TRUE(sock->add_veth({cut_off, "loose", {2, 9, 0, 0, 0, 1}, {2, 9, 0, 0, 0, 2}}));
    EXPECT_EQ(machine.pods.sweep({"world"}).value_or(99), 1u);
    EXPECT_FALSE(*sock->find_link(cut_off));
    EXPECT_TRUE(machine.pods.complete(kUidB, kPodB)) << "a process runs there";
    EXPECT_TRUE(*sock->find_link(theirs->host_interface));
    ::kill(process, SIGKILL);
    ::waitpid(process, nullptr, 0);
    EXPECT_EQ(machine.pods.sweep({"world"}).value_or(99), 2u);
    EXPECT_FALSE(*sock->find_link(used->host_interface));
    EXPECT_TRUE(NetnsDirectory(foreign.run_dir).remove_all());
    std::filesystem::remove(foreign.run_dir);
  });
}

TEST(PodNetwork, ANewPodIsNotHauntedByTheConnectionsOfItsAddress) {
  in_lab([] {
    Machine machine;
    ASSERT_EQ(std::system("nft add table ip t && nft add chain ip t c '{ type filter hook forward "
                          "priority 0; }' && "
                          "nft add rule ip t c ct state new accept"),
              0);
    auto a = machine.pods.attach(kUidA, kPodA);
    auto b = machine.pods.attach(kUidB, kPodB);
    ASSERT_TRUE(a && b);
    auto server = std::make_unique<EchoServer>("b", b->netns_path, Protocol::kTcp, 80);
    Client client(a->netns_path, Protocol::kTcp, {kPodB, 80});  // stays connected
    EXPECT_EQ(client.ask(), "b 10.244.0.5");
    auto flows_to_b = [] {
      std::size_t found = 0;
      netlink::FlowFilter filter;
      filter.matches = [&](const netlink::Flow& flow) {
        found += flow.original_destination.ip == kPodB ? 1 : 0;
        return false;
      };
      EXPECT_TRUE(netlink::delete_flows(filter));
      return found;
    };
    EXPECT_EQ(flows_to_b(), 1u);
    server.reset();
    ASSERT_TRUE(machine.pods.detach(kUidB, kPodB));
    ASSERT_TRUE(machine.pods.attach("cccccccc-0000-4000-8000-000000000003", kPodB));
    EXPECT_EQ(flows_to_b(), 0u);
  });
}

TEST(PodNetwork, APodCannotSendFromAnotherAddress) {
  in_lab([] {
    Machine machine;
    auto a = machine.pods.attach(kUidA, kPodA);
    auto b = machine.pods.attach(kUidB, kPodB);
    ASSERT_TRUE(a && b);
    EchoServer server("host", "", Protocol::kUdp, 81);
    ASSERT_TRUE(run_in_netns(a->netns_path, []() -> Result<> {
      MOTH_ASSIGN(auto sock, netlink::RouteSocket::open());
      MOTH_ASSIGN(auto link, sock.find_link("lo"));
      MOTH_TRY(sock.add_address(link->index, kPodB, 32));
      int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      set_timeout(fd, 300);
      sockaddr_in from = wire({kPodB, 0}), to = wire({kNode, 81});
      EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
      EXPECT_EQ(::sendto(fd, "?", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1);
      char buffer[64];
      EXPECT_LT(::recv(fd, buffer, sizeof buffer, 0), 0);
      ::close(fd);
      return {};
    }));
  });
}

TEST(HostNetwork, SetupTwiceAndDetectedAddress) {
  in_lab([] {
    Machine machine;
    EXPECT_TRUE(setup_host_network(machine.config));
    EXPECT_EQ(detect_node_ip(), kNode);
    NetworkConfig wrong = machine.config;
    wrong.node_ip = Ipv4::of(203, 0, 113, 1);
    auto refused = setup_host_network(wrong);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("203.0.113.1 is not an address of this machine"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace moth::network
