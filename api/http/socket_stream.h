#pragma once
// Internal: a Stream over a non-blocking socket (TCP or unix), with or without TLS, and how to get
// one: dialing and name resolution. Asio only waits for readiness; the calls are ours, so that
// plain and TLS share one small piece of code and a busy connection costs no template
// instantiations.
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "api/http/message.h"
#include "api/http/stream.h"
#include "api/http/tls_native.h"
#include "api/http/url.h"

struct sockaddr_storage;

namespace moth::http {

class SocketStream final : public Stream {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  // Takes over `fd`, which is connected and non-blocking.
  SocketStream(asio::any_io_executor executor, int fd, int family,
               std::chrono::milliseconds write_timeout);
  ~SocketStream() override;

  asio::any_io_executor executor() const override { return executor_; }
  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override;
  using Stream::write;
  Task<Result<void>> write(std::vector<std::string_view> parts) override;
  Task<void> shutdown_write() override;
  void close() override;

  Task<Result<void>> accept_tls(TlsContextPtr context);
  Task<Result<void>> connect_tls(TlsContextPtr context, std::string host);
  // Back to plain text after a failed handshake.
  void drop_tls() { ssl_.reset(); }
  bool tls() const { return ssl_ != nullptr; }
  SSL* ssl() const { return ssl_.get(); }

  std::chrono::milliseconds unacknowledged() const override;
  // From the next write on; 0: none.
  void set_write_timeout(std::chrono::milliseconds timeout) { write_timeout_ = timeout; }

  bool closed() const { return closed_; }
  // True when an idle connection can no longer be used: the peer closed it or sent something
  // unasked.
  bool stale() const;
  // A last word before close(), in the clear, without waiting. Nothing on a TLS session.
  void try_write(std::string_view text);
  std::string remote_text() const;
  std::optional<UnixPeer> unix_peer() const;
  bool unix_socket() const;

 private:
  Task<Result<void>> wait(Socket::wait_type type);
  Task<Result<void>> wait_writable();
  Task<void> breathe();
  Task<Result<void>> handshake(const std::string& host);
  Task<Result<void>> write_plain(std::vector<std::string_view> parts);
  Task<Result<void>> write_tls(std::vector<std::string_view> parts);
  Task<Result<void>> write_tls_block(std::string_view block);
  Error closed_error() const;
  Error io_error(const char* what, int error_number) const;
  Result<void> start_tls(SslPtr ssl, const TlsContextPtr& context);

  // What OpenSSL reads and writes through; MSG_NOSIGNAL, and the errno of the last failure.
  struct Wire {
    int fd = -1;
    int error = 0;
    bool ended = false;
  };
  static const BIO_METHOD* wire_method();

  asio::any_io_executor executor_;
  Socket socket_;
  std::chrono::milliseconds write_timeout_;
  TlsContextPtr context_;
  SslPtr ssl_;
  Wire wire_;
  int synchronous_ = 0;  // calls in a row that did not have to wait
  bool drained_ = true;  // the last read took everything there was
  bool closed_ = false;
  bool stalled_ = false;
  bool tls_broken_ = false;
};

struct DialOptions {
  std::chrono::milliseconds dial_timeout{30'000};  // each address
  std::chrono::milliseconds write_timeout{60'000};
};

// Connects to url's host and port or its unix socket, without TLS. Errors as Go's dialer words
// them.
Task<Result<std::unique_ptr<SocketStream>>> dial_url(asio::any_io_executor io,
                                                     asio::any_io_executor blocking, Url url,
                                                     DialOptions options);

// "[::1]:80", "127.0.0.1:80" or "@".
std::string address_text(const sockaddr_storage& address);
// strerror as Go words it: lower case.
std::string errno_text(int error_number);
// TCP_NODELAY and keep-alive; harmless on unix sockets.
void tune_socket(int fd, int family);

}  // namespace moth::http
