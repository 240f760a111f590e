#include "runtime/network/dns/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <thread>

#include "runtime/network/dns/answer.h"
#include "runtime/network/dns/message.h"
#include "tests/unit/runtime/network/dns/reader.h"

namespace moth::network::dns {
namespace {

constexpr Ipv4 kLocal = Ipv4::of(127, 0, 0, 1);

sockaddr_in wire(SocketAddress address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(address.ip.value);
  result.sin_port = htons(address.port);
  return result;
}

int open_socket(int type, SocketAddress bind_to) {
  int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  timeval timeout{5, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  sockaddr_in address = wire(bind_to);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

std::uint16_t free_port() {
  int fd = open_socket(SOCK_STREAM, {kLocal, 0});
  std::uint16_t port = port_of(fd);
  ::close(fd);
  return port;
}

// The host's server: answers over UDP by a function; an empty result is silence.
class Upstream {
 public:
  explicit Upstream(std::function<Bytes(const Query&)> reply)
      : reply_(std::move(reply)), fd_(open_socket(SOCK_DGRAM, {kLocal, 0})), port_(port_of(fd_)) {
    thread_ = std::thread([this] { loop(); });
  }
  ~Upstream() {
    stop_ = true;
    thread_.join();
    ::close(fd_);
  }
  SocketAddress address() const { return {kLocal, port_}; }
  int asked() const { return asked_; }

 private:
  void loop() {
    while (!stop_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      std::uint8_t buffer[2048];
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      ssize_t got =
          ::recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &size);
      if (got < 0) continue;
      ++asked_;
      Bytes reply = reply_(parse_query({buffer, static_cast<std::size_t>(got)}).query);
      if (!reply.empty())
        ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
    }
  }
  std::function<Bytes(const Query&)> reply_;
  int fd_;
  std::uint16_t port_;
  std::atomic<bool> stop_{false};
  std::atomic<int> asked_{0};
  std::thread thread_;
};

Bytes address_reply(const Query& query) {
  Reply reply(query);
  reply.a(Reply::kAnswer, query.name, 60, Ipv4::of(192, 0, 2, 1));
  return reply.finish(1232);
}

class Server {
 public:
  explicit Server(std::vector<SocketAddress> upstreams, int timeout_ms = 500) {
    ZoneConfig zone;
    zone.dns_address = kLocal;
    ServerOptions options;
    options.listen = {kLocal, free_port()};
    options.upstreams = std::move(upstreams);
    options.upstream_timeout_ms = timeout_ms;
    address = options.listen;
    server = std::make_unique<DnsServer>(executors.io(), zone, options);
    auto started = server->start();
    EXPECT_TRUE(started) << started.error().message;
    ServiceRecord web;
    web.pod_namespace = "shop";
    web.name = "web";
    web.cluster_ip = Ipv4::of(10, 96, 0, 20);
    ServiceRecord alias;
    alias.pod_namespace = "shop";
    alias.name = "alias";
    alias.external_name = "www.example.org";
    ServiceRecord inner;
    inner.pod_namespace = "shop";
    inner.name = "inner";
    inner.external_name = "web.shop.svc.cluster.local";
    ServiceRecord loop;
    loop.pod_namespace = "shop";
    loop.name = "loop";
    loop.external_name = "loop.shop.svc.cluster.local";
    server->load({web, alias, inner, loop});
  }
  ~Server() { asio::co_spawn(executors.io(), server->stop(), asio::use_future).get(); }

  Reading udp(const std::string& name, std::uint16_t type = kA) {
    int fd = open_socket(SOCK_DGRAM, {kLocal, 0});
    Bytes query = make_query(77, name, type);
    sockaddr_in to = wire(address);
    ::sendto(fd, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    Bytes buffer(65536);
    ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    ::close(fd);
    EXPECT_GT(got, 0) << "no reply for " << name;
    buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return read(buffer);
  }

  Executors executors{1};
  SocketAddress address;
  std::unique_ptr<DnsServer> server;
};

using Texts = std::vector<std::string>;

TEST(DnsServer, AnswersFromTheZoneOverUdpAndTcp) {
  Server server({});
  EXPECT_EQ(server.udp("web.shop.svc.cluster.local").answer,
            Texts{"A web.shop.svc.cluster.local 5 10.96.0.20"});
  // Two queries on one TCP connection, the second in two pieces.
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = wire(server.address);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  Bytes query = make_query(3, "web.shop.svc.cluster.local", kA);
  Bytes framed = {0, static_cast<std::uint8_t>(query.size())};
  framed.insert(framed.end(), query.begin(), query.end());
  for (std::size_t cut : {framed.size(), std::size_t{5}}) {
    ASSERT_EQ(::send(fd, framed.data(), cut, 0), static_cast<ssize_t>(cut));
    ::send(fd, framed.data() + cut, framed.size() - cut, 0);
    std::uint8_t head[2];
    ASSERT_EQ(::recv(fd, head, 2, MSG_WAITALL), 2);
    Bytes reply(static_cast<std::size_t>(head[0] << 8 | head[1]));
    ASSERT_EQ(::recv(fd, reply.data(), reply.size(), MSG_WAITALL),
              static_cast<ssize_t>(reply.size()));
    EXPECT_EQ(read(reply).answer.size(), 1u);
  }
  ::close(fd);
  server.server->erase("shop", "web");
  EXPECT_EQ(server.udp("web.shop.svc.cluster.local").rcode, kNxDomain);
}

TEST(DnsServer, ForwardsAndKeepsTheReply) {
  Upstream upstream(address_reply);
  Server server({upstream.address()});
  for (int i = 0; i < 3; ++i) {
    Reading reading = server.udp("www.example.org");
    EXPECT_EQ(reading.id, 77);
    ASSERT_EQ(reading.answer.size(), 1u);
    EXPECT_EQ(reading.answer[0].substr(0, 18), "A www.example.org ");
  }
  EXPECT_EQ(upstream.asked(), 1);
  EXPECT_EQ(server.server->statistics().cached, 2u);
}

TEST(DnsServer, ASilentOrBrokenServerIsPassedOver) {
  Upstream silent([](const Query&) { return Bytes(); });
  Upstream broken([](const Query& query) {
    Reply reply(query);
    reply.set_rcode(kServFail);
    return reply.finish(1232);
  });
  Upstream good(address_reply);
  Server server({silent.address(), broken.address(), good.address()}, 100);
  EXPECT_EQ(server.udp("www.example.org").answer.size(), 1u);
  EXPECT_EQ(silent.asked() + broken.asked() + good.asked(), 3);
}

TEST(DnsServer, AForgedReplyIsNotBelieved) {
  // First a reply with another id, then the true one.
  Upstream upstream([](const Query& query) {
    Query other = query;
    ++other.id;
    return address_reply(other);
  });
  Server server({upstream.address()}, 100);
  EXPECT_EQ(server.udp("www.example.org").rcode, kServFail);
}

TEST(DnsServer, WithoutUpstreamsOtherNamesFailFast) {
  Server server({});
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(server.udp("www.example.org").rcode, kServFail);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
}

TEST(DnsServer, ExternalNamesAreFollowed) {
  Upstream upstream(address_reply);
  Server server({upstream.address()});
  EXPECT_EQ(server.udp("alias.shop.svc.cluster.local").answer,
            (Texts{"CNAME alias.shop.svc.cluster.local 5 www.example.org",
                   "A www.example.org 60 192.0.2.1"}));
  EXPECT_EQ(server.udp("inner.shop.svc.cluster.local").answer,
            (Texts{"CNAME inner.shop.svc.cluster.local 5 web.shop.svc.cluster.local",
                   "A web.shop.svc.cluster.local 5 10.96.0.20"}));
  EXPECT_EQ(server.udp("loop.shop.svc.cluster.local").rcode, kServFail);
}

TEST(DnsServer, ItsOwnAddressIsNeverAnUpstream) {
  Server server({});
  server.server->set_upstreams({server.address});
  EXPECT_EQ(server.udp("www.example.org").rcode, kServFail);
  EXPECT_EQ(server.server->statistics().queries, 1u) << "it did not ask itself";
}

TEST(DnsServer, AnAddressInUseIsAnError) {
  Server server({});
  ServerOptions options;
  options.listen = server.address;
  DnsServer second(server.executors.io(), ZoneConfig(), options);
  auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("for DNS"), std::string::npos);
}

TEST(Upstreams, FromResolvConf) {
  EXPECT_EQ(
      upstreams_from({"192.0.2.1", "::1", "192.0.2.2:5353", "10.96.0.10", "x"},
                     Ipv4::of(10, 96, 0, 10)),
      (std::vector<SocketAddress>{{Ipv4::of(192, 0, 2, 1), 53}, {Ipv4::of(192, 0, 2, 2), 5353}}));
}

}  // namespace
}  // namespace moth::network::dns
