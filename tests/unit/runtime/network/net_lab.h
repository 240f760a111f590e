#pragma once
// A machine of its own for network tests: everything runs in a fresh network namespace, so that the
// real machine's routes and nft tables are never touched. Small echo servers and clients.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/network/host_network.h"
#include "runtime/network/netlink/route.h"
#include "runtime/network/netns.h"

namespace moth::network::lab {

inline sockaddr_in wire(SocketAddress address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address.ip.value);
  result.sin_port = htons(address.port);
  return result;
}

inline SocketAddress from_wire(const sockaddr_in& address) {
  return {{ntohl(address.sin_addr.s_addr)}, ntohs(address.sin_port)};
}

inline void set_timeout(int fd, int ms) {
  timeval timeout{ms / 1000, ms % 1000 * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

// Answers every message with "<name> <client address>"; TCP connections stay open. Lives in the
// namespace at `netns` ("": that of the creating thread).
class EchoServer {
 public:
  EchoServer(std::string name, const std::string& netns, Protocol protocol, std::uint16_t port)
      : name_(std::move(name)), udp_(protocol == Protocol::kUdp), stop_(::eventfd(0, EFD_CLOEXEC)) {
    auto open = [&]() -> Result<> {
      listener_ = ::socket(AF_INET, (udp_ ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
      int on = 1;
      ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      sockaddr_in address = wire({{0}, port});
      if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
        return fail(Error::from_errno(errno, "bind"));
      if (!udp_ && ::listen(listener_, 100) < 0) return fail(Error::from_errno(errno, "listen"));
      return {};
    };
    Result<> opened = netns.empty() ? open() : run_in_netns(netns, open);
    if (!opened) ADD_FAILURE() << opened.error().message;
    thread_ = std::thread([this] { loop(); });
  }
  ~EchoServer() {
    std::uint64_t one = 1;
    (void)!::write(stop_, &one, sizeof one);
    thread_.join();
    ::close(listener_);
    ::close(stop_);
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

 private:
  void loop() {
    std::vector<pollfd> fds = {{stop_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (;;) {
      if (::poll(fds.data(), fds.size(), -1) < 0) continue;
      if (fds[0].revents) break;
      if (fds[1].revents) on_listener(fds);
      for (std::size_t i = 2; i < fds.size(); ++i)
        if (fds[i].revents && !on_connection(fds[i].fd)) {
          ::close(fds[i].fd);
          fds.erase(fds.begin() + static_cast<std::ptrdiff_t>(i--));
        }
    }
    for (std::size_t i = 2; i < fds.size(); ++i) ::close(fds[i].fd);
  }
  void on_listener(std::vector<pollfd>& fds) {
    if (!udp_) {
      int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) fds.push_back({fd, POLLIN, 0});
      return;
    }
    char buffer[2048];
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::recvfrom(listener_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size) <
        0)
      return;
    std::string reply = name_ + " " + from_wire(peer).ip.text();
    ::sendto(listener_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
  }
  bool on_connection(int fd) {
    char buffer[2048];
    if (::read(fd, buffer, sizeof buffer) <= 0) return false;
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size);
    std::string reply = name_ + " " + from_wire(peer).ip.text();
    return ::write(fd, reply.data(), reply.size()) > 0;
  }

  std::string name_;
  bool udp_;
  int listener_ = -1;
  int stop_;
  std::thread thread_;
};

// A client socket that stays connected.
class Client {
 public:
  Client(const std::string& netns, Protocol protocol, SocketAddress to, int timeout_ms = 2000) {
    auto open = [&]() -> Result<> {
      bool udp = protocol == Protocol::kUdp;
      fd_ = ::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
      set_timeout(fd_, timeout_ms);
      sockaddr_in address = wire(to);
      if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) error_ = errno;
      return {};
    };
    Result<> opened = netns.empty() ? open() : run_in_netns(netns, open);
    if (!opened) ADD_FAILURE() << opened.error().message;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The server's reply, or "error: <errno name>".
  std::string ask() {
    if (error_ == 0 && ::send(fd_, "?", 1, MSG_NOSIGNAL) < 0) error_ = errno;
    char buffer[2048];
    ssize_t got = error_ == 0 ? ::recv(fd_, buffer, sizeof buffer, 0) : -1;
    if (error_ == 0 && got < 0) error_ = errno;
    if (error_ != 0) {
      std::string text = std::string("error: ") + ::strerrorname_np(error_);
      error_ = 0;
      return text;
    }
    if (got == 0) return "closed";
    return std::string(buffer, static_cast<std::size_t>(got));
  }

 private:
  int fd_ = -1;
  int error_ = 0;
};

inline std::string ask(const std::string& netns, Protocol protocol, SocketAddress to) {
  return Client(netns, protocol, to).ask();
}

// A host with an uplink: eth0 192.168.77.2/24, and "the world" 192.168.77.1 in a namespace of its
// own.
inline NetworkConfig lab_config() {
  static std::atomic<int> number{0};
  NetworkConfig config;
  config.instance = "test-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  config.run_dir = "/run/moth-" + config.instance;
  config.pod_cidr = *Cidr::parse("10.244.0.0/24");
  config.service_cidr = *Cidr::parse("10.96.0.0/16");
  config.dns_address = Ipv4::of(10, 96, 0, 10);
  config.node_ip = Ipv4::of(192, 168, 77, 2);
  return config;
}

inline constexpr Ipv4 kWorld = Ipv4::of(192, 168, 77, 1);
inline constexpr Ipv4 kNode = Ipv4::of(192, 168, 77, 2);

// Builds the uplink in the calling thread's namespace; returns the path of the world's.
inline Result<std::string> make_uplink(NetnsDirectory& directory) {
  MOTH_ASSIGN(auto here, netlink::RouteSocket::open());
  MOTH_ASSIGN(auto lo, here.find_link("lo"));
  MOTH_TRY(here.set_up(lo->index));
  int in_world = -1;
  MOTH_ASSIGN(std::string world, directory.create("world", [&]() -> Result<> {
    int fd = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    netlink::Veth veth{"eth0", "eth0", {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}, 1500, fd};
    auto added = here.add_veth(veth);
    ::close(fd);
    MOTH_TRY(added);
    in_world = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MOTH_ASSIGN(auto inside, netlink::RouteSocket::open());
    MOTH_ASSIGN(auto eth, inside.find_link("eth0"));
    MOTH_TRY(inside.set_up(eth->index));
    return inside.add_address(eth->index, kWorld, 24);
  }));
  MOTH_ASSIGN(auto eth, here.find_link("eth0"));
  MOTH_TRY(here.set_up(eth->index));
  netlink::settle_carrier(in_world, "eth0");
  ::close(in_world);
  MOTH_TRY(here.add_address(eth->index, kNode, 24));
  netlink::Route route;
  route.destination = {{0}, 0};
  route.interface = eth->index;
  route.gateway = kWorld;
  MOTH_TRY(here.set_route(route));
  return world;
}

// Runs `body` in a machine of its own; skips the test without the privilege.
inline void in_lab(const std::function<void()>& body) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to create network namespaces";
  auto done = run_in_new_netns([&]() -> Result<> {
    body();
    return {};
  });
  if (!done && done.error().os_errno == EPERM) GTEST_SKIP() << done.error().message;
  ASSERT_TRUE(done) << done.error().message;
}

}  // namespace moth::network::lab
