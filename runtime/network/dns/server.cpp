#include "runtime/network/dns/server.h"

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <random>

#include "api/base/log.h"
#include "api/base/task_scope.h"
#include "runtime/network/dns/answer.h"
#include "runtime/network/dns/cache.h"
#include "runtime/network/dns/message.h"

namespace moth::network::dns {

namespace {

using tcp = asio::ip::tcp;
using udp = asio::ip::udp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kMaxQuery = 4096;
constexpr int kMaxAliases = 8;
constexpr auto kTcpIdle = std::chrono::seconds(10);
// Packets answered in one go before other work of the thread gets its turn.
constexpr int kBurst = 64;

std::span<const std::uint8_t> view(const Bytes& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

struct DnsServer::Impl : std::enable_shared_from_this<Impl> {
  using Self = std::shared_ptr<Impl>;

  Impl(asio::any_io_executor executor, ZoneConfig config, ServerOptions given)
      : io(executor),
        scope(executor),
        zone(std::move(config)),
        options(std::move(given)),
        cache(options.cache_entries),
        udp_socket(executor),
        tcp_acceptor(executor) {}

  asio::any_io_executor io;
  TaskScope scope;
  Zone zone;
  ServerOptions options;
  Cache cache;
  udp::socket udp_socket;
  tcp::acceptor tcp_acceptor;
  std::size_t pending = 0;
  std::size_t connections = 0;
  std::mt19937 random{std::random_device{}()};
  std::atomic<std::uint64_t> queries{0}, answered{0}, forwarded{0}, cached{0}, failed{0};

  Result<> bind();
  // A reply that needs no waiting, else nullopt (`alias` tells why); an empty one means silence.
  std::optional<Bytes> at_once(const Bytes& query, bool over_tcp);

  static Task<void> serve_udp(Self self);
  static Task<void> serve_tcp(Self self);
  static Task<void> serve_connection(Self self, tcp::socket client);
  static Task<void> reply_later(Self self, Bytes query, udp::endpoint client);
  static Task<Bytes> resolve(Self self, Bytes query, bool over_tcp);
  static Task<Bytes> forward(Self self, Bytes query, bool over_tcp);
  static Task<Bytes> ask_udp(Self self, Bytes query, SocketAddress server);
  static Task<Bytes> ask_tcp(Self self, Bytes query, SocketAddress server);
};

Result<> DnsServer::Impl::bind() {
  asio::ip::address_v4 address(options.listen.ip.value);
  error_code error;
  auto problem = [&](std::string_view what) {
    return fail(Error::from_errno(error.value(),
                                  std::string(what) + " " + options.listen.text() + " for DNS"));
  };
  udp_socket.open(udp::v4(), error);
  if (!error) udp_socket.bind({address, options.listen.port}, error);
  if (!error) udp_socket.non_blocking(true, error);
  if (error) return problem("bind UDP");
  tcp_acceptor.open(tcp::v4(), error);
  if (!error) tcp_acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) tcp_acceptor.bind({address, options.listen.port}, error);
  if (!error) tcp_acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return problem("bind TCP");
  return {};
}

std::optional<Bytes> DnsServer::Impl::at_once(const Bytes& query, bool over_tcp) {
  ++queries;
  Answer result = answer(view(query), zone, over_tcp, static_cast<std::uint32_t>(random()));
  if (result.outcome == Outcome::kIgnore) return Bytes();
  if (result.outcome == Outcome::kAnswered) {
    ++answered;
    return std::move(result.reply);
  }
  if (result.outcome == Outcome::kForward) {
    if (auto known = cache.find(view(query), over_tcp)) {
      ++cached;
      return known;
    }
  }
  if (pending >= options.max_pending) {
    ++failed;
    return failure(view(query), kServFail);
  }
  return std::nullopt;
}

Task<void> DnsServer::Impl::serve_udp(Self self) {
  Bytes buffer(kMaxQuery);
  udp::endpoint client;
  for (;;) {
    auto [waited] = co_await self->udp_socket.async_wait(udp::socket::wait_read, kAwait);
    if (waited) co_return;
    for (int i = 0; i < kBurst; ++i) {
      error_code error;
      std::size_t size = self->udp_socket.receive_from(asio::buffer(buffer), client, 0, error);
      if (error == asio::error::would_block) break;
      if (error) continue;
      Bytes query(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
      auto reply = self->at_once(query, false);
      if (!reply) {
        self->scope.spawn("forwarded DNS query", reply_later(self, std::move(query), client));
      } else if (!reply->empty()) {
        self->udp_socket.send_to(asio::buffer(*reply), client, 0, error);
      }
    }
  }
}

Task<void> DnsServer::Impl::reply_later(Self self, Bytes query, udp::endpoint client) {
  Bytes reply = co_await resolve(self, std::move(query), false);
  error_code ignored;
  if (self->udp_socket.is_open()) self->udp_socket.send_to(asio::buffer(reply), client, 0, ignored);
}

Task<void> DnsServer::Impl::serve_tcp(Self self) {
  asio::steady_timer pause(self->io);
  for (;;) {
    auto [error, client] = co_await self->tcp_acceptor.async_accept(kAwait);
    if (error == asio::error::operation_aborted || !self->tcp_acceptor.is_open()) co_return;
    if (error) {
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(kAwait);
      continue;
    }
    if (self->connections >= self->options.max_tcp) continue;
    self->scope.spawn("DNS over TCP", serve_connection(self, std::move(client)));
  }
}

Task<void> DnsServer::Impl::serve_connection(Self self, tcp::socket given) {
  auto client = std::make_shared<tcp::socket>(std::move(given));
  ++self->connections;
  asio::steady_timer idle(self->io);
  auto rearm = [&] {
    idle.expires_after(kTcpIdle);
    idle.async_wait([client](error_code error) {
      if (error) return;
      error_code ignored;
      client->close(ignored);
    });
  };
  for (;;) {
    rearm();
    std::array<std::uint8_t, 2> head{};
    auto [head_error, head_size] = co_await asio::async_read(*client, asio::buffer(head), kAwait);
    std::size_t size = static_cast<std::size_t>(head[0] << 8 | head[1]);
    if (head_error || size < kHeaderSize || size > kMaxQuery) break;
    Bytes query(size);
    auto [read_error, read_size] = co_await asio::async_read(*client, asio::buffer(query), kAwait);
    if (read_error) break;
    idle.cancel();
    auto now = self->at_once(query, true);
    Bytes reply = now ? std::move(*now) : Bytes();
    if (!now) reply = co_await resolve(self, query, true);
    if (reply.empty()) break;
    Bytes framed = {static_cast<std::uint8_t>(reply.size() >> 8),
                    static_cast<std::uint8_t>(reply.size())};
    framed.insert(framed.end(), reply.begin(), reply.end());
    rearm();
    auto [write_error, written] = co_await asio::async_write(*client, asio::buffer(framed), kAwait);
    if (write_error) break;
  }
  idle.cancel();
  --self->connections;
}

// Forwards, following ExternalName aliases first.
Task<Bytes> DnsServer::Impl::resolve(Self self, Bytes query, bool over_tcp) {
  struct Pending {
    std::size_t& count;
    explicit Pending(std::size_t& value) : count(value) { ++count; }
    ~Pending() { --count; }
  } counted(self->pending);
  std::vector<std::string> aliases;
  Bytes current = query;
  Bytes final_reply;
  for (;;) {
    bool wide = over_tcp || !aliases.empty();
    Answer result =
        answer(view(current), self->zone, wide, static_cast<std::uint32_t>(self->random()));
    if (result.outcome == Outcome::kAlias) {
      if (static_cast<int>(aliases.size()) == kMaxAliases)
        co_return failure(view(query), kServFail);
      aliases.push_back(result.alias);
      current = query_for(view(query), result.alias, static_cast<std::uint16_t>(self->random()));
      continue;
    }
    if (result.outcome == Outcome::kForward) {
      final_reply = co_await forward(self, current, over_tcp);
    } else {
      final_reply = std::move(result.reply);
    }
    break;
  }
  if (aliases.empty()) co_return final_reply;
  co_return with_aliases(view(query), self->zone, over_tcp, aliases, view(final_reply));
}

Task<Bytes> DnsServer::Impl::forward(Self self, Bytes query, bool over_tcp) {
  if (auto known = self->cache.find(view(query), over_tcp)) co_return std::move(*known);
  ++self->forwarded;
  // Each server once, the first one again at the end when it was the only one.
  std::vector<SocketAddress> servers = self->options.upstreams;
  if (servers.size() == 1) servers.push_back(servers.front());
  std::optional<Bytes> last;
  for (const SocketAddress& server : servers) {
    Bytes reply;
    if (over_tcp) {
      reply = co_await ask_tcp(self, query, server);
    } else {
      reply = co_await ask_udp(self, query, server);
    }
    auto facts = read_reply(view(reply));
    if (!facts) continue;
    bool useful = facts->rcode != kServFail && facts->rcode != kRefused && facts->rcode != kNotImp;
    if (useful) {
      self->cache.put(view(query), reply, *facts);
      co_return reply;
    }
    last = std::move(reply);
  }
  ++self->failed;
  if (last) co_return std::move(*last);
  co_return failure(view(query), kServFail);
}

// An empty result: no usable answer in time.
Task<Bytes> DnsServer::Impl::ask_udp(Self self, Bytes query, SocketAddress server) {
  std::uint8_t original[2] = {query[0], query[1]};
  auto id = static_cast<std::uint16_t>(self->random());
  query[0] = static_cast<std::uint8_t>(id >> 8);
  query[1] = static_cast<std::uint8_t>(id);
  // A socket of its own has a random port, and connected it hears that server alone.
  auto sock = std::make_shared<udp::socket>(self->io);
  error_code error;
  sock->connect({asio::ip::address_v4(server.ip.value), server.port}, error);
  if (!error) sock->send(asio::buffer(query), 0, error);
  if (error) co_return Bytes();
  asio::steady_timer timer(self->io, std::chrono::milliseconds(self->options.upstream_timeout_ms));
  timer.async_wait([sock](error_code stopped) {
    if (stopped) return;
    error_code ignored;
    sock->close(ignored);
  });
  std::vector<std::uint8_t> buffer(kMaxQuery);
  for (;;) {
    auto [failed_read, size] = co_await sock->async_receive(asio::buffer(buffer), kAwait);
    if (failed_read) co_return Bytes();
    Bytes reply(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(size));
    if (!answers_query(view(query), view(reply))) continue;
    timer.cancel();
    reply[0] = original[0];
    reply[1] = original[1];
    co_return reply;
  }
}

Task<Bytes> DnsServer::Impl::ask_tcp(Self self, Bytes query, SocketAddress server) {
  auto sock = std::make_shared<tcp::socket>(self->io);
  asio::steady_timer timer(self->io, std::chrono::milliseconds(self->options.upstream_timeout_ms));
  timer.async_wait([sock](error_code stopped) {
    if (stopped) return;
    error_code ignored;
    sock->close(ignored);
  });
  tcp::endpoint endpoint(asio::ip::address_v4(server.ip.value), server.port);
  auto [connect_error] = co_await sock->async_connect(endpoint, kAwait);
  if (connect_error) co_return Bytes();
  Bytes framed = {static_cast<std::uint8_t>(query.size() >> 8),
                  static_cast<std::uint8_t>(query.size())};
  framed.insert(framed.end(), query.begin(), query.end());
  auto [write_error, written] = co_await asio::async_write(*sock, asio::buffer(framed), kAwait);
  if (write_error) co_return Bytes();
  std::array<std::uint8_t, 2> head{};
  auto [head_error, head_size] = co_await asio::async_read(*sock, asio::buffer(head), kAwait);
  if (head_error) co_return Bytes();
  Bytes reply(static_cast<std::size_t>(head[0] << 8 | head[1]));
  auto [read_error, read_size] = co_await asio::async_read(*sock, asio::buffer(reply), kAwait);
  if (read_error || !answers_query(view(query), view(reply))) co_return Bytes();
  timer.cancel();
  co_return reply;
}

DnsServer::DnsServer(asio::any_io_executor io, ZoneConfig zone, ServerOptions options)
    : impl_(std::make_shared<Impl>(io, std::move(zone), std::move(options))) {
  set_upstreams(impl_->options.upstreams);
}

DnsServer::~DnsServer() = default;

Result<> DnsServer::start() {
  MOTH_TRY(impl_->bind());
  asio::post(impl_->io, [impl = impl_] {
    impl->scope.spawn("DNS over UDP", Impl::serve_udp(impl));
    impl->scope.spawn("DNS over TCP", Impl::serve_tcp(impl));
  });
  return {};
}

Task<void> DnsServer::stop() {
  auto impl = impl_;
  error_code ignored;
  impl->udp_socket.close(ignored);
  impl->tcp_acceptor.close(ignored);
  impl->scope.cancel();
  co_await impl->scope.join();
}

void DnsServer::set(ServiceRecord record) {
  asio::post(impl_->io, [impl = impl_, record = std::move(record)]() mutable {
    impl->zone.set(std::move(record));
  });
}

void DnsServer::erase(std::string pod_namespace, std::string name) {
  asio::post(impl_->io, [impl = impl_, pod_namespace = std::move(pod_namespace),
                         name = std::move(name)] { impl->zone.erase(pod_namespace, name); });
}

void DnsServer::load(std::vector<ServiceRecord> records) {
  asio::post(impl_->io, [impl = impl_, records = std::move(records)]() mutable {
    impl->zone.clear();
    for (ServiceRecord& record : records) impl->zone.set(std::move(record));
  });
}

void DnsServer::set_upstreams(std::vector<SocketAddress> upstreams) {
  asio::post(impl_->io, [impl = impl_, upstreams = std::move(upstreams)]() mutable {
    std::erase(upstreams, impl->options.listen);
    impl->options.upstreams = std::move(upstreams);
    impl->cache.clear();
  });
}

DnsServer::Statistics DnsServer::statistics() const {
  return {impl_->queries, impl_->answered, impl_->forwarded, impl_->cached, impl_->failed};
}

std::vector<SocketAddress> upstreams_from(const std::vector<std::string>& nameservers, Ipv4 own) {
  constexpr std::uint16_t kDnsPort = 53;
  std::vector<SocketAddress> result;
  for (const std::string& text : nameservers) {
    std::size_t colon = text.find(':');
    auto ip = Ipv4::parse(std::string_view(text).substr(0, colon));
    int port = kDnsPort;
    if (colon != std::string::npos) port = std::atoi(text.c_str() + colon + 1);
    if (ip && *ip != own && port > 0 && port < 65536)
      result.push_back({*ip, static_cast<std::uint16_t>(port)});
  }
  return result;
}

}  // namespace moth::network::dns
