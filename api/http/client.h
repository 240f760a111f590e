#pragma once
// HTTP/1.1 client with a keep-alive pool per origin: TCP, TLS, unix sockets, streams, WebSockets.
// Redirects are not followed unless asked for. Error texts read as those of Go's client, which
// users of kubectl know: `Get "https://127.0.0.1:6443/api": dial tcp 127.0.0.1:6443: connect:
// connection refused`.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/message.h"
#include "api/http/stream.h"
#include "api/http/tls.h"
#include "api/http/url.h"
#include "api/http/websocket.h"

namespace moth::http {

// Delivers a request body piece by piece into (data, size); 0 ends it. Called on the client's io
// executor.
using BodySource = std::function<Task<Result<std::size_t>>(char* data, std::size_t size)>;

struct ClientRequest {
  std::string method = "GET";
  std::string url;  // absolute; see url.h for unix sockets
  Headers headers;  // Host, Content-Length, Connection are added
  std::string body;
  BodySource body_source;                  // instead of `body`
  std::optional<std::uint64_t> body_size;  // of body_source; unknown: chunked
  std::chrono::milliseconds timeout{
      30'000};  // request(): everything; open(): until the header. 0: none
  std::chrono::milliseconds read_timeout{0};   // streams: between two pieces; 0: none
  std::size_t body_limit = 256 * 1024 * 1024;  // request(): a longer response body is an error
  int max_redirects = 0;  // followed for GET and HEAD; Authorization is dropped on another host
};

struct ClientOptions {
  TlsContextPtr tls;  // null: the system's trust store
  std::size_t max_idle_per_origin = 8;
  std::chrono::milliseconds idle_timeout{60'000};   // less than servers': no race on reuse
  std::chrono::milliseconds write_timeout{60'000};  // without any progress
  std::chrono::milliseconds dial_timeout{30'000};   // connect, each address; also the TLS handshake
  std::string user_agent = "moth/0.1";
  std::size_t header_limit = 256 * 1024;
};

// A response whose body is read piece by piece. All methods may be called from any executor, one at
// a time. Destroying it before the end closes the connection, after the end returns it to the pool.
class ResponseStream {
 public:
  struct State;
  explicit ResponseStream(std::shared_ptr<State> state);
  ResponseStream(ResponseStream&&) noexcept;
  ResponseStream& operator=(ResponseStream&&) noexcept;
  ~ResponseStream();

  int status() const;
  const Headers& headers() const;
  std::optional<std::uint64_t> content_length() const;
  // Next bytes of the body, 0 at its end; an error when it was cut short. Cancellable.
  Task<Result<std::size_t>> read_some(char* data, std::size_t size);
  // The next piece as text, as much as has come; empty at the end.
  Task<Result<std::string>> read_piece();
  // The next line without its '\n'; nothing at the end. A line longer than `limit` is an error.
  Task<Result<std::optional<std::string>>> read_line(std::size_t limit = 16 * 1024 * 1024);
  // The rest of the body.
  Task<Result<std::string>> read_all(std::size_t limit);
  // Whole response as a value, for error answers.
  Task<Result<Response>> collect(std::size_t limit = 1024 * 1024);

 private:
  std::shared_ptr<State> state_;
};

// Outcome of upgrade(): either the connection (`stream` set, `response` is the 101), or the refusal
// with its body.
struct Upgraded {
  Response response;
  RawStream stream;
};

// Shared by any number of coroutines on any executor: calls hop to `io` and come back. `blocking`
// resolves names. Cancelling a call closes its connection. Outlives its calls and streams.
class Client {
 public:
  Client(asio::any_io_executor io, asio::any_io_executor blocking, ClientOptions options = {});
  ~Client();  // closes idle connections
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The whole response, of whatever status. A request on a kept connection that the server closed
  // meanwhile is sent again once, when its body can be.
  Task<Result<Response>> request(ClientRequest request);
  // Returns when the response's header is there.
  Task<Result<ResponseStream>> open(ClientRequest request);
  // GET with a WebSocket handshake, offering `subprotocols`. A refusal becomes the error that its
  // body describes. The WebSocket lives on the io executor.
  Task<Result<WebSocket>> websocket(ClientRequest request, std::vector<std::string> subprotocols,
                                    WebSocketOptions options = {});
  // Sends `request` with its own Connection and Upgrade headers; the stream lives on the io
  // executor.
  Task<Result<Upgraded>> upgrade(ClientRequest request);
  // A bare connection to host:port or a unix socket, for proxies.
  Task<Result<RawStream>> dial(Url url);

  asio::any_io_executor io() const;
  std::size_t idle_connections() const;  // on io

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace moth::http
