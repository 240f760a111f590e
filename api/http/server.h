#pragma once
// HTTP/1.1 server: TCP with or without TLS and unix sockets, one coroutine per connection, all on
// the `io` executor. Requests are read whole (bounded) before the handler is called, unless
// ServerOptions::stream_body says otherwise.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/message.h"
#include "api/http/stream.h"
#include "api/http/tls.h"
#include "api/http/websocket.h"

namespace moth::http {

// The body of a streamed response (watch, logs -f). Every write is flushed at once and completes
// when the kernel has taken it, so a slow client slows its producer down. All methods on the io
// executor; one write at a time. Valid until the handler returns.
class StreamWriter {
 public:
  struct State;
  explicit StreamWriter(std::shared_ptr<State> state);

  // Fails after the client has gone, or when it took nothing for ServerOptions::write_timeout.
  Task<Result<void>> write(std::string_view text);
  Task<Result<void>> write(SharedText text);
  // All texts as one chunk, one system call where possible.
  Task<Result<void>> write(std::vector<SharedText> texts);
  // Ends the body properly. Returning from the handler does the same.
  Task<Result<void>> finish();
  // Ends the connection without the end mark, so that the client sees the failure.
  void abort();

  bool closed() const;  // the client has gone, or the server stops
  // Completes when closed() becomes true. Cancellable.
  Task<void> wait_closed();

 private:
  std::shared_ptr<State> state_;
};

// One request and the ways to answer it; exactly one of send, start_stream, upgrade_* is to be
// used. Lives on the connection's coroutine: valid until the handler returns. All methods on the io
// executor.
class Exchange {
 public:
  class Connection;
  explicit Exchange(Connection& connection);

  Request& request();
  const Request& request() const;
  asio::any_io_executor executor() const;

  // Content-Length and the body of HEAD responses are taken care of. A client that has gone is no
  // error of the handler's, so none is returned.
  Task<void> send(Response response);
  Task<void> send_error(const Error& error);

  // What happens to the handler when the client of a stream goes away. Cancelling throws
  // operation_aborted out of whatever the handler awaits, so an idle watch ends by itself.
  enum class OnDisconnect { kCancelHandler, kKeepRunning };

  // Chunked; sends the header at once.
  Task<Result<StreamWriter>> start_stream(
      int status, Headers headers, OnDisconnect on_disconnect = OnDisconnect::kCancelHandler);

  // True when the request asks for a WebSocket.
  bool websocket_requested() const;
  // Subprotocols that the client offers, in its order.
  std::vector<std::string> websocket_protocols() const;
  // Answers 101 with `subprotocol` ("": none). BadRequest when the request is no proper handshake
  // (nothing has been sent then).
  Task<Result<WebSocket>> upgrade_websocket(std::string subprotocol, WebSocketOptions options = {});
  // Answers 101 with exactly `headers` (they carry Connection and Upgrade) and hands the connection
  // over; bytes that came early are delivered first. The server keeps no timeout on it but the
  // write timeout.
  Task<Result<RawStream>> upgrade_raw(Headers headers, int status = 101);

  // Only when stream_body chose this request: the next bytes of the body, 0 at its end.
  Task<Result<std::size_t>> read_body(char* data, std::size_t size);

  // Instead of ServerOptions::write_timeout, for this connection to its end: a reader of logs may
  // rest as long as it likes, it costs what the socket holds. 0: none.
  void set_write_timeout(std::chrono::milliseconds timeout);

  // Completes when the client has closed the connection or the server stops. Cancellable.
  Task<void> wait_closed();
  bool answered() const;

 private:
  Connection& connection_;
};

using Handler = std::function<Task<void>(Exchange&)>;

struct ServerOptions {
  std::size_t header_limit = 64 * 1024;      // beyond: 431
  std::size_t body_limit = 3 * 1024 * 1024;  // beyond: 413; also after decompression
  std::size_t max_connections = 4096;        // beyond: the longest idle one is closed, else 503
  std::chrono::milliseconds header_timeout{10'000};  // whole header, also the TLS handshake
  std::chrono::milliseconds body_timeout{30'000};    // between two pieces of a body
  std::chrono::milliseconds idle_timeout{90'000};    // between two requests
  std::chrono::milliseconds write_timeout{60'000};   // without any progress
  // Called with the header of each request that has a body. True: the handler is called at once and
  // reads the body itself with Exchange::read_body, without limit.
  std::function<bool(const Request&)> stream_body;
};

// Construct, listen_*, start, and later stop; all on the io executor or before it runs. The handler
// must not throw; if it does, the client gets 500 and the log a line.
class Server {
 public:
  Server(asio::any_io_executor io, Handler handler, ServerOptions options = {});
  ~Server();  // stop() must have completed, or the executor must have ended
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds at once. `port` 0 takes a free one; the port is returned. `name` becomes
  // Request::listener.
  Result<std::uint16_t> listen_tcp(const std::string& address, std::uint16_t port,
                                   TlsContextPtr tls = nullptr, std::string name = "");
  // Replaces a stale socket file; refuses when someone is still listening on it.
  Result<void> listen_unix(const std::string& path, unsigned mode, std::string name = "");
  // Connections from now on use `tls` on every TLS listener (renewed certificates).
  void set_tls(TlsContextPtr tls);

  // Begins to accept on every listener, also on those that are added later.
  void start();
  // Stops accepting, ends streams and idle connections, lets requests in flight finish for at most
  // `grace`, then cancels them. Not interrupted by cancellation of the caller.
  Task<void> stop(std::chrono::milliseconds grace = std::chrono::milliseconds(2000));

  std::size_t connections() const;
  std::uint64_t requests() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace moth::http
