#include "runtime/network/services/loopback_listeners.h"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "api/base/log.h"
#include "api/base/task_scope.h"

namespace moth::network {

namespace {

using tcp = asio::ip::tcp;
using udp = asio::ip::udp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBuffer = 16 * 1024;
constexpr auto kUdpIdle = std::chrono::seconds(60);
constexpr int kConnectTries = 3;

template <class Protocol>
typename Protocol::endpoint endpoint_of(const SocketAddress& address) {
  return {asio::ip::address_v4(address.ip.value), address.port};
}

std::array<asio::ip::address, 2> loopback_addresses() {
  return {asio::ip::address_v4::loopback(), asio::ip::address_v6::loopback()};
}

}  // namespace

struct LoopbackListeners::Impl : std::enable_shared_from_this<Impl> {
  using Self = std::shared_ptr<Impl>;
  using Key = std::pair<Protocol, std::uint16_t>;

  // What the tasks of one port share; `endpoints` changes while they run.
  struct Port {
    std::vector<SocketAddress> endpoints;
    std::vector<tcp::acceptor> acceptors;
    std::vector<std::shared_ptr<udp::socket>> sockets;
    bool complete = false;  // bound wherever possible
    bool reported = false;
  };
  struct Pair {
    tcp::socket client, server;
  };
  struct UdpFlow {
    explicit UdpFlow(asio::any_io_executor io) : server(io), idle(io) {}
    udp::socket server;
    asio::steady_timer idle;
  };
  using FlowMap = std::map<udp::endpoint, std::shared_ptr<UdpFlow>>;

  Impl(asio::any_io_executor executor, std::size_t limit)
      : io(executor), scope(executor), max(limit) {}

  asio::any_io_executor io;
  TaskScope scope;
  std::size_t max;
  std::atomic<std::size_t> open{0};
  std::map<Key, std::shared_ptr<Port>> ports;
  std::minstd_rand random{std::random_device{}()};
  bool stopped = false;

  void apply(std::vector<LoopbackPort> wanted);
  void close(Port& port);
  void bind_tcp(std::uint16_t number, const std::shared_ptr<Port>& port);
  void bind_udp(std::uint16_t number, const std::shared_ptr<Port>& port);
  void report(Port& port, std::uint16_t number, const error_code& error);
  std::optional<SocketAddress> pick(const Port& port);

  static Task<void> accept(Self self, std::shared_ptr<Port> port, std::size_t index);
  static Task<void> serve(Self self, std::shared_ptr<Port> port, tcp::socket client);
  static Task<void> copy(std::shared_ptr<Pair> pair, bool upstream);
  static Task<void> receive(Self self, std::shared_ptr<Port> port,
                            std::shared_ptr<udp::socket> sock);
  static Task<void> answer(Self self, std::shared_ptr<udp::socket> sock,
                           std::shared_ptr<FlowMap> flows, udp::endpoint client,
                           std::shared_ptr<UdpFlow> flow);
  static Task<void> expire(std::shared_ptr<UdpFlow> flow);
};

std::optional<SocketAddress> LoopbackListeners::Impl::pick(const Port& port) {
  if (port.endpoints.empty()) return std::nullopt;
  return port.endpoints[random() % port.endpoints.size()];
}

void LoopbackListeners::Impl::report(Port& port, std::uint16_t number, const error_code& error) {
  // Machines without IPv6 have no ::1; that is no news.
  if (error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL) return;
  port.complete = false;
  if (port.reported) return;
  port.reported = true;
  log::warning("a node port cannot be served on the loopback address", log::field("port", number),
               log::field("error", error.message()));
}

void LoopbackListeners::Impl::bind_tcp(std::uint16_t number, const std::shared_ptr<Port>& port) {
  for (const asio::ip::address& address : loopback_addresses()) {
    tcp::acceptor acceptor(io);
    error_code error;
    acceptor.open(address.is_v4() ? tcp::v4() : tcp::v6(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor.bind({address, number}, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      report(*port, number, error);
      continue;
    }
    port->acceptors.push_back(std::move(acceptor));
  }
  for (std::size_t i = 0; i < port->acceptors.size(); ++i)
    scope.spawn("loopback node port", accept(shared_from_this(), port, i));
}

void LoopbackListeners::Impl::bind_udp(std::uint16_t number, const std::shared_ptr<Port>& port) {
  for (const asio::ip::address& address : loopback_addresses()) {
    auto sock = std::make_shared<udp::socket>(io);
    error_code error;
    sock->open(address.is_v4() ? udp::v4() : udp::v6(), error);
    if (!error && address.is_v6()) sock->set_option(asio::ip::v6_only(true), error);
    if (!error) sock->bind({address, number}, error);
    if (error) {
      report(*port, number, error);
      continue;
    }
    port->sockets.push_back(sock);
    scope.spawn("loopback node port", receive(shared_from_this(), port, sock));
  }
}

void LoopbackListeners::Impl::close(Port& port) {
  error_code ignored;
  for (tcp::acceptor& acceptor : port.acceptors) acceptor.close(ignored);
  for (auto& sock : port.sockets) sock->close(ignored);
}

void LoopbackListeners::Impl::apply(std::vector<LoopbackPort> wanted) {
  if (stopped) return;
  std::set<Key> keep;
  for (LoopbackPort& item : wanted) {
    if (item.endpoints.empty() || item.protocol == Protocol::kSctp) continue;
    Key key{item.protocol, item.port};
    keep.insert(key);
    auto& port = ports[key];
    bool retry = port && !port->complete && port->acceptors.empty() && port->sockets.empty();
    bool fresh = !port || retry;
    if (!port) port = std::make_shared<Port>();
    port->endpoints = std::move(item.endpoints);
    if (!fresh) continue;
    port->complete = true;
    if (item.protocol == Protocol::kTcp) {
      bind_tcp(item.port, port);
    } else {
      bind_udp(item.port, port);
    }
  }
  for (auto it = ports.begin(); it != ports.end();) {
    if (keep.count(it->first)) {
      ++it;
      continue;
    }
    close(*it->second);
    it = ports.erase(it);
  }
}

Task<void> LoopbackListeners::Impl::accept(Self self, std::shared_ptr<Port> port,
                                           std::size_t index) {
  asio::steady_timer pause(self->io);
  for (;;) {
    auto [error, client] = co_await port->acceptors[index].async_accept(kAwait);
    if (error == asio::error::operation_aborted || !port->acceptors[index].is_open()) co_return;
    if (error) {
      // Out of descriptors, mostly: let others finish first.
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(kAwait);
      continue;
    }
    // Closing at once tells the client more than a connection that hangs.
    if (self->open >= self->max) continue;
    self->scope.spawn("loopback connection", serve(self, port, std::move(client)));
  }
}

Task<void> LoopbackListeners::Impl::serve(Self self, std::shared_ptr<Port> port,
                                          tcp::socket client) {
  struct Count {
    std::atomic<std::size_t>& value;
    explicit Count(std::atomic<std::size_t>& v) : value(v) { ++value; }
    ~Count() { --value; }
  } count(self->open);
  tcp::socket server(self->io);
  bool connected = false;
  for (int attempt = 0; attempt < kConnectTries && !connected; ++attempt) {
    auto target = self->pick(*port);
    if (!target) co_return;
    error_code closing;
    server.close(closing);
    auto [error] = co_await server.async_connect(endpoint_of<tcp>(*target), kAwait);
    if (error == asio::error::operation_aborted) co_return;
    connected = !error;
  }
  if (!connected) co_return;
  error_code ignored;
  client.set_option(tcp::no_delay(true), ignored);
  server.set_option(tcp::no_delay(true), ignored);
  auto pair = std::make_shared<Pair>(Pair{std::move(client), std::move(server)});
  auto back = std::make_shared<asio::steady_timer>(self->io, asio::steady_timer::time_point::max());
  self->scope.spawn(
      "loopback connection",
      [](std::shared_ptr<Pair> both, std::shared_ptr<asio::steady_timer> done) -> Task<void> {
        co_await copy(both, false);
        done->cancel();
        // Tells the other half, in case it has not begun to wait yet.
        done->expires_at(asio::steady_timer::time_point::min());
      }(pair, back));
  co_await copy(pair, true);
  co_await back->async_wait(kAwait);
}

// Copies until the sender is done, then passes the half-close on. A broken side ends both.
Task<void> LoopbackListeners::Impl::copy(std::shared_ptr<Pair> pair, bool upstream) {
  tcp::socket& from = upstream ? pair->client : pair->server;
  tcp::socket& to = upstream ? pair->server : pair->client;
  std::vector<char> buffer(kBuffer);
  error_code ignored;
  for (;;) {
    auto [read_error, size] = co_await from.async_read_some(asio::buffer(buffer), kAwait);
    if (read_error == asio::error::eof) {
      to.shutdown(tcp::socket::shutdown_send, ignored);
      co_return;
    }
    if (!read_error) {
      auto [write_error, written] =
          co_await asio::async_write(to, asio::buffer(buffer.data(), size), kAwait);
      if (!write_error) continue;
    }
    from.close(ignored);
    to.close(ignored);
    co_return;
  }
}

Task<void> LoopbackListeners::Impl::receive(Self self, std::shared_ptr<Port> port,
                                            std::shared_ptr<udp::socket> sock) {
  auto flows = std::make_shared<FlowMap>();
  std::vector<char> buffer(65536);
  for (;;) {
    udp::endpoint client;
    auto [error, size] = co_await sock->async_receive_from(asio::buffer(buffer), client, kAwait);
    if (error == asio::error::operation_aborted || !sock->is_open()) co_return;
    if (error) continue;
    auto found = flows->find(client);
    if (found == flows->end()) {
      auto target = self->pick(*port);
      if (!target || self->open >= self->max) continue;
      auto flow = std::make_shared<UdpFlow>(self->io);
      error_code failed;
      flow->server.connect(endpoint_of<udp>(*target), failed);
      if (failed) continue;
      found = flows->emplace(client, flow).first;
      self->scope.spawn("loopback flow", answer(self, sock, flows, client, flow));
    }
    found->second->idle.expires_after(kUdpIdle);
    error_code ignored;
    found->second->server.send(asio::buffer(buffer.data(), size), 0, ignored);
  }
}

Task<void> LoopbackListeners::Impl::answer(Self self, std::shared_ptr<udp::socket> sock,
                                           std::shared_ptr<FlowMap> flows, udp::endpoint client,
                                           std::shared_ptr<UdpFlow> flow) {
  ++self->open;
  self->scope.spawn("loopback flow timer", expire(flow));
  std::vector<char> buffer(65536);
  for (;;) {
    auto [error, size] = co_await flow->server.async_receive(asio::buffer(buffer), kAwait);
    if (error) break;
    flow->idle.expires_after(kUdpIdle);
    error_code ignored;
    sock->send_to(asio::buffer(buffer.data(), size), client, 0, ignored);
    if (!sock->is_open()) break;
  }
  error_code ignored;
  flow->server.close(ignored);
  flow->idle.expires_at(asio::steady_timer::time_point::min());
  flows->erase(client);
  --self->open;
}

// Moving the deadline ends the wait with operation_aborted: then it waits for the new one.
Task<void> LoopbackListeners::Impl::expire(std::shared_ptr<UdpFlow> flow) {
  while (flow->server.is_open()) {
    auto [error] = co_await flow->idle.async_wait(kAwait);
    if (!error) {
      error_code ignored;
      flow->server.close(ignored);
    }
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  }
}

LoopbackListeners::LoopbackListeners(asio::any_io_executor io, std::size_t max_connections)
    : impl_(std::make_shared<Impl>(io, max_connections)) {}

LoopbackListeners::~LoopbackListeners() = default;

void LoopbackListeners::update(std::vector<LoopbackPort> ports) {
  asio::post(impl_->io,
             [impl = impl_, list = std::move(ports)]() mutable { impl->apply(std::move(list)); });
}

Task<void> LoopbackListeners::stop() {
  auto impl = impl_;
  impl->stopped = true;
  for (auto& [key, port] : impl->ports) impl->close(*port);
  impl->ports.clear();
  impl->scope.cancel();
  co_await impl->scope.join();
}

std::size_t LoopbackListeners::connections() const {
  return impl_->open;
}

}  // namespace moth::network
