// Listening, admitting and timing out connections; the public faces of one.
#include "api/http/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cstring>

#include "api/base/log.h"
#include "api/http/server_state.h"

namespace moth::http {
namespace {

using StatePtr = std::shared_ptr<Server::State>;
using ConnectionPtr = std::shared_ptr<Exchange::Connection>;

constexpr int kBacklog = 1024;

Error listen_error(std::string_view network, std::string_view where, std::string_view call,
                   int code) {
  Error error = Error::of(Reason::kServiceUnavailable, fmt::format("listen {} {}: {}: {}", network,
                                                                   where, call, errno_text(code)));
  error.os_errno = code;
  return error;
}

Task<void> pause(asio::any_io_executor executor, std::chrono::milliseconds time) {
  asio::steady_timer timer(executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// Waits for the connection's tasks, then forgets it. A task of its own, since join() leaves its
// caller deaf to cancellation.
Task<void> supervise(StatePtr state, ConnectionPtr connection) {
  connection->tasks.spawn("http connection", connection->run());
  co_await connection->tasks.join();
  connection->stream().close();
  state->connections.remove(connection);
  state->connection_ended.notify();
}

Task<void> accept_loop(StatePtr state, std::shared_ptr<Listener> listener) {
  while (!state->stopping) {
    int fd = ::accept4(listener->socket->native_handle(), nullptr, nullptr,
                       SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      state->admit(fd, listener);
      continue;
    }
    switch (errno) {
      case EINTR:
      case ECONNABORTED:
        continue;
      case EMFILE:
      case ENFILE:
      case ENOMEM:
      case ENOBUFS:
        log::warning("cannot accept a connection", log::field("why", errno_text(errno)));
        if (!state->close_longest_idle()) {
          co_await pause(state->executor, std::chrono::milliseconds(100));
        }
        break;
      default:
        break;
    }
    boost::system::error_code error;
    co_await listener->socket->async_wait(SocketStream::Socket::wait_read,
                                          asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
  }
}

// One timer for all connections: their deadlines are plain values that cost nothing per request.
Task<void> sweep(StatePtr state) {
  while (!state->connections.empty()) {
    co_await pause(state->executor, state->sweep_interval());
    MonoTime now = std::chrono::steady_clock::now();
    for (const ConnectionPtr& connection : state->connections) {
      if (connection->deadline() <= now) connection->stream().close();
    }
  }
  state->sweeping = false;
}

int bind_socket(int family, const sockaddr* address, socklen_t size, const char*& call) {
  int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  call = "socket";
  if (fd < 0) return -errno;
  int on = 1;
  if (family != AF_UNIX) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  call = "bind";
  if (::bind(fd, address, size) == 0) {
    call = "listen";
    if (family == AF_UNIX || ::listen(fd, kBacklog) == 0) return fd;
  }
  int code = errno;
  ::close(fd);
  return -code;
}

// Whether somebody answers on the unix socket.
bool in_use(const sockaddr_un& address, socklen_t size) {
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool answered = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
  ::close(fd);
  return answered;
}

std::shared_ptr<Listener> make_listener(const asio::any_io_executor& executor, int fd, int family,
                                        std::string name) {
  auto listener = std::make_shared<Listener>();
  listener->name = std::move(name);
  listener->family = family;
  listener->socket = std::make_unique<SocketStream::Socket>(executor);
  boost::system::error_code ignored;
  int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  listener->socket->assign(asio::generic::stream_protocol(family, protocol), fd, ignored);
  listener->socket->native_non_blocking(true, ignored);
  return listener;
}

}  // namespace

Server::State::State(asio::any_io_executor io, Handler function, ServerOptions given)
    : executor(io),
      handler(std::move(function)),
      options(std::move(given)),
      tasks(io),
      connection_ended(io) {}

std::chrono::milliseconds Server::State::sweep_interval() const {
  auto shortest = std::min({options.header_timeout, options.body_timeout, options.idle_timeout});
  return std::clamp(shortest / 4, std::chrono::milliseconds(10), std::chrono::milliseconds(1000));
}

void Server::State::start_accepting(const std::shared_ptr<Listener>& listener) {
  tasks.spawn("http accept", accept_loop(shared_from_this(), listener));
}

bool Server::State::close_longest_idle() {
  Exchange::Connection* longest = nullptr;
  for (const ConnectionPtr& connection : connections) {
    if (connection->phase() != Exchange::Connection::Phase::kIdle) continue;
    if (connection->stream().closed()) continue;
    if (!longest || connection->idle_since() < longest->idle_since()) longest = connection.get();
  }
  if (longest) longest->stream().close();
  return longest != nullptr;
}

void Server::State::admit(int fd, const std::shared_ptr<Listener>& listener) {
  tune_socket(fd, listener->family);
  auto stream =
      std::make_unique<SocketStream>(executor, fd, listener->family, options.write_timeout);
  if (connections.size() >= options.max_connections && !close_longest_idle()) {
    if (!listener->tls) {
      stream->try_write(
          "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 21\r\n"
          "Connection: close\r\n\r\ntoo many connections\n");
    }
    return;
  }
  auto connection =
      std::make_shared<Exchange::Connection>(shared_from_this(), std::move(stream), listener);
  connections.push_back(connection);
  tasks.spawn("http connection", supervise(shared_from_this(), connection));
  if (!sweeping) {
    sweeping = true;
    tasks.spawn("http sweep", sweep(shared_from_this()));
  }
}

Server::Server(asio::any_io_executor io, Handler handler, ServerOptions options)
    : state_(std::make_shared<State>(std::move(io), std::move(handler), std::move(options))) {}

Server::~Server() = default;

Result<std::uint16_t> Server::listen_tcp(const std::string& address, std::uint16_t port,
                                         TlsContextPtr tls, std::string name) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  socklen_t size = sizeof v4;
  if (::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
  } else if (::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    size = sizeof v6;
  } else {
    return fail(Error::bad_request(
        fmt::format("listen tcp {}: not an IP address: give one such as 127.0.0.1", address)));
  }
  const char* call = "";
  int fd = bind_socket(storage.ss_family, reinterpret_cast<sockaddr*>(&storage), size, call);
  if (fd < 0) return fail(listen_error("tcp", address_text(storage), call, -fd));
  size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  auto listener = make_listener(state_->executor, fd, storage.ss_family, std::move(name));
  listener->tls = tls != nullptr;
  if (tls) state_->tls = std::move(tls);
  state_->listeners.push_back(listener);
  if (state_->started) state_->start_accepting(listener);
  return ntohs(storage.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
}

Result<void> Server::listen_unix(const std::string& path, unsigned mode, std::string name) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(
        Error::bad_request(fmt::format("listen unix {}: the path must have 1 to 107 bytes", path)));
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  const char* call = "";
  int fd = bind_socket(AF_UNIX, reinterpret_cast<sockaddr*>(&address), size, call);
  struct stat existing {};
  if (fd == -EADDRINUSE && ::lstat(path.c_str(), &existing) == 0 && S_ISSOCK(existing.st_mode) &&
      !in_use(address, size)) {
    ::unlink(path.c_str());
    fd = bind_socket(AF_UNIX, reinterpret_cast<sockaddr*>(&address), size, call);
  }
  if (fd < 0) return fail(listen_error("unix", path, call, -fd));
  // Nobody can connect before listen(), so the mode is in force from the first connection on.
  if (::chmod(path.c_str(), mode) != 0 || ::listen(fd, kBacklog) != 0) {
    int code = errno;
    ::close(fd);
    ::unlink(path.c_str());
    return fail(listen_error("unix", path, "chmod", code));
  }
  auto listener = make_listener(state_->executor, fd, AF_UNIX, std::move(name));
  listener->unix_path = path;
  state_->listeners.push_back(listener);
  if (state_->started) state_->start_accepting(listener);
  return {};
}

void Server::set_tls(TlsContextPtr tls) {
  state_->tls = std::move(tls);
}

void Server::start() {
  if (std::exchange(state_->started, true)) return;
  for (const auto& listener : state_->listeners) state_->start_accepting(listener);
}

namespace {

Task<void> await_quiet(StatePtr state, MonoTime until) {
  while (!state->connections.empty()) {
    if (!co_await state->connection_ended.wait_until(until)) co_return;
  }
}

}  // namespace

Task<void> Server::stop(std::chrono::milliseconds grace) {
  auto state = state_;
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  state->stopping = true;
  for (const auto& listener : state->listeners) {
    boost::system::error_code ignored;
    listener->socket->close(ignored);
    if (!listener->unix_path.empty()) ::unlink(listener->unix_path.c_str());
  }
  state->listeners.clear();
  MonoTime now = std::chrono::steady_clock::now();
  // Streams get a moment to send their end mark.
  constexpr std::chrono::milliseconds kStreamGrace{200};
  auto connections = state->connections;
  for (const ConnectionPtr& connection : connections) connection->begin_stop();
  co_await await_quiet(state, now + std::min(grace, kStreamGrace));
  connections = state->connections;
  for (const ConnectionPtr& connection : connections) connection->end_streams();
  co_await await_quiet(state, now + grace);
  connections = state->connections;
  for (const ConnectionPtr& connection : connections) {
    connection->stream().close();
    connection->tasks.cancel();
  }
  connections.clear();
  state->tasks.cancel();
  co_await state->tasks.join();
}

std::size_t Server::connections() const {
  return state_->connections.size();
}
std::uint64_t Server::requests() const {
  return state_->requests;
}

// ---------------------------------------------------------------------------------------------

Exchange::Exchange(Connection& connection) : connection_(connection) {}
Request& Exchange::request() {
  return connection_.request;
}
const Request& Exchange::request() const {
  return connection_.request;
}
asio::any_io_executor Exchange::executor() const {
  return connection_.executor();
}
Task<void> Exchange::send(Response response) {
  return connection_.send(std::move(response));
}

Task<void> Exchange::send_error(const Error& error) {
  return connection_.send(Response::from_error(error));
}

Task<Result<StreamWriter>> Exchange::start_stream(int status, Headers headers,
                                                  OnDisconnect on_disconnect) {
  auto connection = connection_.shared_from_this();
  auto started = co_await connection->start_stream(status, std::move(headers), on_disconnect);
  if (!started) co_return fail(std::move(started).error());
  co_return StreamWriter(
      std::make_shared<StreamWriter::State>(StreamWriter::State{std::move(connection)}));
}

bool Exchange::websocket_requested() const {
  const Headers& headers = connection_.request.headers;
  return headers.has_token("Upgrade", "websocket") && headers.has_token("Connection", "upgrade");
}

std::vector<std::string> Exchange::websocket_protocols() const {
  std::vector<std::string> protocols;
  for (std::string_view line : connection_.request.headers.all("Sec-WebSocket-Protocol")) {
    while (!line.empty()) {
      auto comma = line.find(',');
      std::string_view token = line.substr(0, comma);
      line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
      auto begin = token.find_first_not_of(" \t");
      if (begin == std::string_view::npos) continue;
      auto end = token.find_last_not_of(" \t");
      protocols.emplace_back(token.substr(begin, end - begin + 1));
    }
  }
  return protocols;
}

Task<Result<WebSocket>> Exchange::upgrade_websocket(std::string subprotocol,
                                                    WebSocketOptions options) {
  const Request& asked = connection_.request;
  if (!websocket_requested() || asked.method != "GET") {
    co_return fail(
        Error::bad_request("the request is not a WebSocket handshake: it needs GET, "
                           "Connection: Upgrade and Upgrade: websocket"));
  }
  std::string_view key = asked.headers.get("Sec-WebSocket-Key");
  if (key.empty() || asked.headers.get("Sec-WebSocket-Version") != "13") {
    co_return fail(Error::bad_request(
        "the WebSocket handshake needs Sec-WebSocket-Key and Sec-WebSocket-Version: 13"));
  }
  Headers headers{{"Upgrade", "websocket"},
                  {"Connection", "Upgrade"},
                  {"Sec-WebSocket-Accept", websocket_accept(key)}};
  if (!subprotocol.empty()) headers.add("Sec-WebSocket-Protocol", subprotocol);
  auto stream = co_await upgrade_raw(std::move(headers));
  if (!stream) co_return fail(std::move(stream).error());
  co_return WebSocket(std::move(*stream), WebSocket::Role::kServer, std::move(subprotocol),
                      options);
}

namespace {

class ConnectionStream final : public Stream {
 public:
  explicit ConnectionStream(ConnectionPtr connection) : connection_(std::move(connection)) {}
  ~ConnectionStream() override { connection_->stream().close(); }
  asio::any_io_executor executor() const override { return connection_->executor(); }
  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    return connection_->read_raw(data, size);
  }
  using Stream::write;
  Task<Result<void>> write(std::vector<std::string_view> parts) override {
    return connection_->stream().write(std::move(parts));
  }
  Task<void> shutdown_write() override { return connection_->stream().shutdown_write(); }
  void close() override { connection_->stream().close(); }
  std::chrono::milliseconds unacknowledged() const override {
    return connection_->stream().unacknowledged();
  }

 private:
  ConnectionPtr connection_;
};

}  // namespace

Task<Result<RawStream>> Exchange::upgrade_raw(Headers headers, int status) {
  auto connection = connection_.shared_from_this();
  auto started = co_await connection->start_upgrade(status, headers);
  if (!started) co_return fail(std::move(started).error());
  co_return RawStream(std::make_unique<ConnectionStream>(std::move(connection)));
}

Task<Result<std::size_t>> Exchange::read_body(char* data, std::size_t size) {
  return connection_.read_body(data, size);
}

void Exchange::set_write_timeout(std::chrono::milliseconds timeout) {
  connection_.stream().set_write_timeout(timeout);
}

Task<void> Exchange::wait_closed() {
  return connection_.wait_closed();
}
bool Exchange::answered() const {
  return connection_.answer() != Exchange::Connection::Answer::kNone;
}

StreamWriter::StreamWriter(std::shared_ptr<State> state) : state_(std::move(state)) {}

Task<Result<void>> StreamWriter::write(std::string_view text) {
  return state_->connection->write_chunk({}, text);
}

Task<Result<void>> StreamWriter::write(SharedText text) {
  std::vector<SharedText> texts;
  texts.push_back(std::move(text));
  return state_->connection->write_chunk(std::move(texts), {});
}

Task<Result<void>> StreamWriter::write(std::vector<SharedText> texts) {
  return state_->connection->write_chunk(std::move(texts), {});
}

Task<Result<void>> StreamWriter::finish() {
  return state_->connection->finish_stream();
}
void StreamWriter::abort() {
  state_->connection->stream().close();
}
bool StreamWriter::closed() const {
  return state_->connection->client_gone();
}
Task<void> StreamWriter::wait_closed() {
  return state_->connection->wait_closed();
}

}  // namespace moth::http
