#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cstring>

#include "api/http/deadline.h"
#include "api/http/dial.h"
#include "api/http/socket_stream.h"

namespace moth::http {
namespace {

using Dialed = Result<std::unique_ptr<SocketStream>>;

struct Endpoint {
  sockaddr_storage address{};
  socklen_t size = 0;
};

struct Lookup {
  explicit Lookup(const asio::any_io_executor& io) : done(io) {
    done.expires_at(asio::steady_timer::time_point::max());
  }
  std::string host, port;
  std::vector<Endpoint> endpoints;
  int error = 0;
  bool finished = false;  // on io
  asio::steady_timer done;

  void run() {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
    if (host == "localhost" || host.find(':') != std::string::npos) hints.ai_flags = AI_NUMERICSERV;
    addrinfo* list = nullptr;
    error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
    for (addrinfo* entry = list; entry; entry = entry->ai_next) {
      Endpoint endpoint;
      std::memcpy(&endpoint.address, entry->ai_addr, entry->ai_addrlen);
      endpoint.size = entry->ai_addrlen;
      endpoints.push_back(endpoint);
    }
    if (list) ::freeaddrinfo(list);
  }
};

Error dial_error(std::string_view network, std::string_view where, std::string_view why, int code) {
  Error error = Error::of(code == ETIMEDOUT ? Reason::kTimeout : Reason::kServiceUnavailable,
                          fmt::format("dial {} {}: {}", network, where, why));
  error.os_errno = code;
  return error;
}

Error lookup_error(const std::string& host, int code) {
  std::string why =
      code == EAI_NONAME || code == EAI_NODATA ? "no such host" : ::gai_strerror(code);
  Error error =
      Error::of(Reason::kServiceUnavailable, fmt::format("dial tcp: lookup {}: {}", host, why));
  error.os_errno = EHOSTUNREACH;
  return error;
}

// The lookup itself cannot be interrupted; a cancelled or late caller leaves it behind, and its
// result is dropped.
Task<Result<std::vector<Endpoint>>> resolve(asio::any_io_executor io,
                                            asio::any_io_executor blocking, std::string host,
                                            std::uint16_t port, std::chrono::milliseconds timeout) {
  auto lookup = std::make_shared<Lookup>(io);
  lookup->host = host;
  lookup->port = std::to_string(port);
  std::array<unsigned char, 16> bytes{};
  if (::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
      ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1) {
    lookup->run();  // no lookup takes place for an address
  } else {
    asio::post(blocking, [lookup, io] {
      lookup->run();
      asio::post(io, [lookup] {
        lookup->finished = true;
        lookup->done.cancel();
      });
    });
    bool late = false;
    Deadline deadline(io, timeout, [lookup, &late] {
      late = true;
      lookup->done.cancel();
    });
    boost::system::error_code error;
    co_await lookup->done.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (late && !lookup->finished) {
      co_return fail(dial_error("tcp:", "lookup " + host, "i/o timeout", ETIMEDOUT));
    }
    if (!lookup->finished) throw boost::system::system_error(error);
  }
  if (lookup->error != 0 || lookup->endpoints.empty()) {
    co_return fail(lookup_error(host, lookup->error));
  }
  co_return std::move(lookup->endpoints);
}

// Closes the descriptor unless it was taken.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// `socket`, when there is one, is taken over.
Task<Dialed> connect_to(asio::any_io_executor io, Endpoint endpoint, std::string where,
                        DialOptions options, int socket = -1) {
  int family = endpoint.address.ss_family;
  const char* network = family == AF_UNIX ? "unix" : "tcp";
  Descriptor descriptor{socket};
  if (descriptor.fd < 0) {
    descriptor.fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  }
  if (descriptor.fd < 0) {
    co_return fail(dial_error(network, where, "socket: " + errno_text(errno), errno));
  }
  tune_socket(descriptor.fd, family);
  int code = 0;
  if (::connect(descriptor.fd, reinterpret_cast<const sockaddr*>(&endpoint.address),
                endpoint.size) != 0) {
    code = errno;
  }
  if (code == EINPROGRESS) {
    SocketStream::Socket waiter(io);
    boost::system::error_code error;
    waiter.assign(asio::generic::stream_protocol(family, IPPROTO_TCP), descriptor.fd, error);
    bool late = false;
    {
      Deadline deadline(io, options.dial_timeout, [&waiter, &late] {
        late = true;
        boost::system::error_code ignored;
        waiter.cancel(ignored);
      });
      co_await waiter.async_wait(SocketStream::Socket::wait_write,
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    boost::system::error_code ignored;
    waiter.release(ignored);  // back to `descriptor`
    if (late) co_return fail(dial_error(network, where, "i/o timeout", ETIMEDOUT));
    if (error) throw boost::system::system_error(error);
    socklen_t size = sizeof code;
    ::getsockopt(descriptor.fd, SOL_SOCKET, SO_ERROR, &code, &size);
  }
  if (code != 0) {
    co_return fail(dial_error(network, where, "connect: " + errno_text(code), code));
  }
  int fd = std::exchange(descriptor.fd, -1);
  co_return std::make_unique<SocketStream>(io, fd, family, options.write_timeout);
}

Result<Endpoint> unix_endpoint(const std::string& path) {
  Endpoint endpoint;
  auto* address = reinterpret_cast<sockaddr_un*>(&endpoint.address);
  if (path.size() >= sizeof address->sun_path) {
    return fail(Error::bad_request(
        fmt::format("dial unix {}: the socket path is longer than 107 bytes", path)));
  }
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  endpoint.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return endpoint;
}

}  // namespace

Task<Dialed> dial_url(asio::any_io_executor io, asio::any_io_executor blocking, Url url,
                      DialOptions options) {
  if (!url.unix_path.empty()) {
    auto endpoint = unix_endpoint(url.unix_path);
    if (!endpoint) co_return fail(endpoint.error());
    co_return co_await connect_to(io, *endpoint, url.unix_path, options);
  }
  auto endpoints = co_await resolve(io, blocking, url.host, url.port, options.dial_timeout);
  if (!endpoints) co_return fail(std::move(endpoints).error());
  // One address after the other; the first failure is the one to report.
  Dialed first = fail(Error());
  for (std::size_t i = 0; i < endpoints->size(); ++i) {
    Dialed dialed =
        co_await connect_to(io, (*endpoints)[i], address_text((*endpoints)[i].address), options);
    if (dialed) co_return dialed;
    if (i == 0) first = std::move(dialed);
  }
  co_return first;
}

Task<Result<RawStream>> dial_loopback(asio::any_io_executor io, int socket, bool v6,
                                      std::uint16_t port, std::chrono::milliseconds dial_timeout,
                                      std::chrono::milliseconds write_timeout) {
  Endpoint endpoint;
  if (v6) {
    auto* address = reinterpret_cast<sockaddr_in6*>(&endpoint.address);
    address->sin6_family = AF_INET6;
    address->sin6_addr = in6addr_loopback;
    address->sin6_port = htons(port);
    endpoint.size = sizeof *address;
  } else {
    auto* address = reinterpret_cast<sockaddr_in*>(&endpoint.address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->sin_port = htons(port);
    endpoint.size = sizeof *address;
  }
  std::string where = address_text(endpoint.address);
  auto dialed = co_await connect_to(io, endpoint, where, {dial_timeout, write_timeout}, socket);
  if (!dialed) co_return fail(std::move(dialed).error());
  co_return RawStream(std::move(*dialed));
}

std::string address_text(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, buffer.data(), buffer.size());
    return fmt::format("{}:{}", buffer.data(), ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, buffer.data(), buffer.size());
    return fmt::format("[{}]:{}", buffer.data(), ntohs(v6.sin6_port));
  }
  return "@";
}

std::string errno_text(int error_number) {
  std::array<char, 128> buffer{};
  std::string text = ::strerror_r(error_number, buffer.data(), buffer.size());
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') {
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  }
  return text;
}

void tune_socket(int fd, int family) {
  if (family == AF_UNIX) return;
  auto set = [fd](int layer, int option, int value) {
    ::setsockopt(fd, layer, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 6);
}

}  // namespace moth::http
