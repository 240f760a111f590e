#include "api/http/socket_stream.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <climits>
#include <cstring>

#include "api/http/deadline.h"

namespace moth::http {
namespace {

constexpr std::size_t kTlsRecord = 16 * 1024;
constexpr int kMaxSynchronous = 64;

}  // namespace

SocketStream::SocketStream(asio::any_io_executor executor, int fd, int family,
                           std::chrono::milliseconds write_timeout)
    : executor_(executor), socket_(executor), write_timeout_(write_timeout) {
  boost::system::error_code error;
  int protocol = family == AF_UNIX ? 0 : IPPROTO_TCP;
  socket_.assign(asio::generic::stream_protocol(family, protocol), fd, error);
  if (error) {
    ::close(fd);
    closed_ = true;
    return;
  }
  socket_.native_non_blocking(true, error);
  wire_.fd = fd;
}

SocketStream::~SocketStream() {
  close();
}

void SocketStream::close() {
  if (closed_) return;
  closed_ = true;
  if (ssl_ && !tls_broken_ && SSL_is_init_finished(ssl_.get())) {
    SSL_shutdown(ssl_.get());  // close_notify if the kernel takes it, without waiting
    ERR_clear_error();
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
  wire_.fd = -1;
}

Error SocketStream::closed_error() const {
  Error error =
      Error::of(Reason::kServiceUnavailable, stalled_ ? "i/o timeout: the peer takes no data"
                                                      : "use of closed network connection");
  error.os_errno = stalled_ ? ETIMEDOUT : ECANCELED;
  return error;
}

Error SocketStream::io_error(const char* what, int error_number) const {
  Error error = Error::of(Reason::kServiceUnavailable,
                          fmt::format("{} {}: {}: {}", what, unix_socket() ? "unix" : "tcp", what,
                                      errno_text(error_number)));
  error.os_errno = error_number;
  return error;
}

Task<Result<void>> SocketStream::wait(Socket::wait_type type) {
  synchronous_ = 0;
  boost::system::error_code error;
  co_await socket_.async_wait(type, asio::redirect_error(asio::use_awaitable, error));
  if (closed_) co_return fail(closed_error());
  if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
  if (error) co_return fail(io_error("poll", error.value()));
  co_return Result<void>();
}

Task<Result<void>> SocketStream::wait_writable() {
  Deadline deadline(executor_, write_timeout_, [this] {
    stalled_ = true;
    close();
  });
  co_return co_await wait(Socket::wait_write);
}

// A peer that is always ready must not keep the thread to itself.
Task<void> SocketStream::breathe() {
  synchronous_ = 0;
  co_await asio::post(executor_, asio::use_awaitable);
}

Task<Result<std::size_t>> SocketStream::read_some(char* data, std::size_t size) {
  if (++synchronous_ > kMaxSynchronous) co_await breathe();
  if (size == 0) co_return std::size_t{0};
  // Most reads come after everything was taken: asking again would only yield EAGAIN.
  bool wait_first = drained_ && !ssl_;
  for (;;) {
    if (closed_) co_return fail(closed_error());
    Socket::wait_type need = Socket::wait_read;
    if (!wait_first && ssl_) {
      ERR_clear_error();
      int count =
          SSL_read(ssl_.get(), data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
      if (count > 0) co_return static_cast<std::size_t>(count);
      int why = SSL_get_error(ssl_.get(), count);
      if (why == SSL_ERROR_ZERO_RETURN) co_return std::size_t{0};
      if (why == SSL_ERROR_WANT_WRITE) {
        need = Socket::wait_write;
      } else if (why != SSL_ERROR_WANT_READ) {
        tls_broken_ = true;
        if (wire_.error != 0) co_return fail(io_error("read", wire_.error));
        if (wire_.ended) co_return fail(Error::of(Reason::kServiceUnavailable, "unexpected EOF"));
        co_return fail(Error::of(Reason::kServiceUnavailable, openssl_error("tls: read")));
      }
    } else if (!wait_first) {
      ssize_t count = ::recv(wire_.fd, data, size, 0);
      if (count >= 0) {
        drained_ = static_cast<std::size_t>(count) < size && count > 0;
        co_return static_cast<std::size_t>(count);
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return fail(io_error("read", errno));
    }
    wait_first = false;
    MOTH_CO_TRY(co_await wait(need));
  }
}

Task<Result<void>> SocketStream::write(std::vector<std::string_view> parts) {
  if (++synchronous_ > kMaxSynchronous) co_await breathe();
  if (ssl_) co_return co_await write_tls(std::move(parts));
  co_return co_await write_plain(std::move(parts));
}

Task<Result<void>> SocketStream::write_plain(std::vector<std::string_view> parts) {
  constexpr std::size_t kBatch = 64;
  std::array<iovec, kBatch> vectors{};
  std::size_t next = 0;
  std::size_t offset = 0;  // into parts[next]
  for (;;) {
    std::size_t count = 0;
    while (next < parts.size() && parts[next].size() == offset) {
      ++next;
      offset = 0;
    }
    for (std::size_t i = next; i < parts.size() && count < kBatch; ++i) {
      std::string_view part = parts[i].substr(i == next ? offset : 0);
      if (!part.empty()) vectors[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    if (count == 0) co_return Result<void>();
    if (closed_) co_return fail(closed_error());
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    ssize_t sent = ::sendmsg(wire_.fd, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return fail(io_error("write", errno));
      MOTH_CO_TRY(co_await wait_writable());
      continue;
    }
    for (auto left = static_cast<std::size_t>(sent); left > 0;) {
      std::size_t step = std::min(left, parts[next].size() - offset);
      left -= step;
      offset += step;
      if (offset == parts[next].size()) {
        ++next;
        offset = 0;
      }
    }
  }
}

// Small parts are gathered so that they share TLS records; large ones are not copied.
Task<Result<void>> SocketStream::write_tls(std::vector<std::string_view> parts) {
  std::string gathered;
  for (std::string_view part : parts) {
    while (!part.empty()) {
      if (gathered.empty() && part.size() >= kTlsRecord) {
        MOTH_CO_TRY(co_await write_tls_block(part));
        break;
      }
      std::size_t take = std::min(part.size(), kTlsRecord - gathered.size());
      gathered += part.substr(0, take);
      part.remove_prefix(take);
      if (gathered.size() == kTlsRecord) {
        MOTH_CO_TRY(co_await write_tls_block(gathered));
        gathered.clear();
      }
    }
  }
  if (!gathered.empty()) MOTH_CO_TRY(co_await write_tls_block(gathered));
  co_return Result<void>();
}

Task<Result<void>> SocketStream::write_tls_block(std::string_view block) {
  while (!block.empty()) {
    if (closed_) co_return fail(closed_error());
    ERR_clear_error();
    int count = SSL_write(ssl_.get(), block.data(),
                          static_cast<int>(std::min<std::size_t>(block.size(), INT_MAX)));
    if (count > 0) {
      block.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    int why = SSL_get_error(ssl_.get(), count);
    if (why == SSL_ERROR_WANT_WRITE) {
      MOTH_CO_TRY(co_await wait_writable());
    } else if (why == SSL_ERROR_WANT_READ) {
      MOTH_CO_TRY(co_await wait(Socket::wait_read));
    } else {
      tls_broken_ = true;
      if (wire_.error != 0) co_return fail(io_error("write", wire_.error));
      co_return fail(Error::of(Reason::kServiceUnavailable, openssl_error("tls: write")));
    }
  }
  co_return Result<void>();
}

Task<void> SocketStream::shutdown_write() {
  if (closed_) co_return;
  if (ssl_) {
    // Only the alert: a FIN below it would also end what the peer still has to say on this socket.
    if (!tls_broken_) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  } else {
    ::shutdown(wire_.fd, SHUT_WR);
  }
}

const BIO_METHOD* SocketStream::wire_method() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "moth socket");
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    BIO_meth_set_ctrl(made, [](BIO* bio, int command, long, void*) -> long {
      if (command == BIO_CTRL_FLUSH) return 1;
      if (command == BIO_CTRL_EOF) return static_cast<Wire*>(BIO_get_data(bio))->ended ? 1 : 0;
      return 0;
    });
    BIO_meth_set_read(made, [](BIO* bio, char* data, int size) -> int {
      auto* wire = static_cast<Wire*>(BIO_get_data(bio));
      BIO_clear_retry_flags(bio);
      ssize_t count = ::recv(wire->fd, data, static_cast<std::size_t>(size), 0);
      if (count == 0) wire->ended = true;
      if (count < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
      else if (count < 0)
        wire->error = errno;
      return static_cast<int>(count);
    });
    BIO_meth_set_write(made, [](BIO* bio, const char* data, int size) -> int {
      auto* wire = static_cast<Wire*>(BIO_get_data(bio));
      BIO_clear_retry_flags(bio);
      ssize_t count = ::send(wire->fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
      if (count < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
      else if (count < 0)
        wire->error = errno;
      return static_cast<int>(count);
    });
    return made;
  }();
  return method;
}

Result<void> SocketStream::start_tls(SslPtr ssl, const TlsContextPtr& context) {
  BIO* bio = BIO_new(wire_method());
  if (!bio) return fail(Error::internal("tls: out of memory"));
  BIO_set_data(bio, &wire_);
  SSL_set_bio(ssl.get(), bio, bio);
  ssl_ = std::move(ssl);
  context_ = context;
  return {};
}

Task<Result<void>> SocketStream::handshake(const std::string& host) {
  for (;;) {
    if (closed_) co_return fail(closed_error());
    ERR_clear_error();
    int outcome = SSL_do_handshake(ssl_.get());
    if (outcome == 1) co_return Result<void>();
    int why = SSL_get_error(ssl_.get(), outcome);
    if (why == SSL_ERROR_WANT_READ) {
      MOTH_CO_TRY(co_await wait(Socket::wait_read));
    } else if (why == SSL_ERROR_WANT_WRITE) {
      MOTH_CO_TRY(co_await wait_writable());
    } else {
      tls_broken_ = true;
      if (wire_.error != 0) co_return fail(io_error("read", wire_.error));
      if (wire_.ended) co_return fail(Error::of(Reason::kServiceUnavailable, "EOF"));
      co_return fail(Error::of(Reason::kServiceUnavailable, handshake_error(ssl_.get(), host)));
    }
  }
}

Task<Result<void>> SocketStream::accept_tls(TlsContextPtr context) {
  auto session = new_server_session(*context);
  if (!session) co_return fail(session.error());
  MOTH_CO_TRY(start_tls(std::move(*session), context));
  co_return co_await handshake("");
}

Task<Result<void>> SocketStream::connect_tls(TlsContextPtr context, std::string host) {
  auto session = new_client_session(*context, host);
  if (!session) co_return fail(session.error());
  MOTH_CO_TRY(start_tls(std::move(*session), context));
  const std::string& expected = context->server_name().empty() ? host : context->server_name();
  co_return co_await handshake(expected);
}

std::chrono::milliseconds SocketStream::unacknowledged() const {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (closed_ || ::getsockopt(wire_.fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  if (info.tcpi_unacked == 0 && info.tcpi_probes == 0) return {};
  return std::chrono::milliseconds(info.tcpi_last_ack_recv);
}

bool SocketStream::stale() const {
  if (closed_ || tls_broken_) return true;
  char byte = 0;
  ssize_t count = ::recv(wire_.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return !(count < 0 && errno == EAGAIN);
}

void SocketStream::try_write(std::string_view text) {
  if (closed_ || ssl_) return;
  [[maybe_unused]] ssize_t sent =
      ::send(wire_.fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool SocketStream::unix_socket() const {
  int domain = 0;
  socklen_t size = sizeof domain;
  return ::getsockopt(wire_.fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

std::string SocketStream::remote_text() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(wire_.fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return address_text(address);
}

std::optional<UnixPeer> SocketStream::unix_peer() const {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(wire_.fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return std::nullopt;
  }
  return UnixPeer{credentials.uid, credentials.gid, credentials.pid};
}

}  // namespace moth::http
