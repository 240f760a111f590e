#pragma once
// WebSocket (RFC 6455) over any Stream, server and client side. No extensions (permessage-deflate).
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/stream.h"

namespace moth::http {

struct WebSocketOptions {
  std::size_t max_message = 4 << 20;  // bytes; a longer one closes the connection with code 1009
  // Received messages that nobody has read yet; when they exceed this, reading from the peer
  // pauses.
  std::size_t max_queued = 1 << 20;
  std::chrono::milliseconds close_timeout{5000};  // wait for the peer's answer to close()
  // When nothing came for so long, the peer is pinged, so that one that has gone is noticed
  // although neither side has anything to say; 0: never.
  std::chrono::milliseconds ping_interval{0};
};

struct WebSocketMessage {
  bool text = false;
  std::string data;
};

// Owned by one session; all methods on the stream's executor. A background task reads from the
// start on, so that pings are answered while nobody reads. Several coroutines may write at once:
// each message goes out whole. Destroying the object closes the connection abruptly; call close()
// first.
class WebSocket {
 public:
  enum class Role { kServer, kClient };

  WebSocket(RawStream stream, Role role, std::string subprotocol, WebSocketOptions options = {});
  WebSocket(WebSocket&&) noexcept;
  WebSocket& operator=(WebSocket&&) noexcept;
  ~WebSocket();

  const std::string& subprotocol() const;
  asio::any_io_executor executor() const;

  // The next message; nothing once the peer has closed properly (see close_code()); an error when
  // the connection broke or the peer violated the protocol. One reader at a time. Cancellable.
  Task<Result<std::optional<WebSocketMessage>>> read();

  // One binary message of `first` followed by `second` (e.g. a channel byte and its payload, so
  // that the payload is not copied). Cancelling a write breaks the connection.
  Task<Result<void>> write_binary(std::string_view first, std::string_view second = {});
  Task<Result<void>> write_text(std::string_view text);
  Task<Result<void>> ping(std::string_view payload = {});

  // Sends a close frame, waits for the peer's (bounded by close_timeout), closes the stream.
  // Messages that arrive meanwhile are dropped.
  Task<void> close(std::uint16_t code = 1000, std::string_view reason = {});
  // Cuts the connection without a close frame.
  void abort();

  // Completes when nothing more will come: the peer closed or the connection broke. Messages that
  // came before may still be read. Cancellable.
  Task<void> wait_ended();

  // Code and reason of the peer's close frame; 1005 when it carried none, 0 before it came.
  std::uint16_t close_code() const;
  const std::string& close_reason() const;
  bool open() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

// A Stream over the concatenated payload of binary messages in both directions (port-forward
// tunnels bytes that way). shutdown_write() sends the close frame.
RawStream stream_over_websocket(WebSocket socket);

// Value of Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

}  // namespace moth::http
