#pragma once
// Times and sizes that all long streams share.
#include <chrono>
#include <cstddef>

#include "api/http/spdy/session.h"
#include "api/http/websocket.h"

namespace moth::server::streams {

inline constexpr std::size_t kPiece = 32 * 1024;
// A client that upgrades and then opens no streams.
inline constexpr std::chrono::seconds kStreamCreationTimeout{30};
// How long a client may take nothing of what is sent to it. It costs no more than the buffers of
// its connection; upstream has the same limit.
inline constexpr std::chrono::hours kIdleTimeout{4};
// Silence after which the other end is asked for a sign of life.
inline constexpr std::chrono::seconds kPingInterval{15};

inline http::WebSocketOptions websocket_options() {
  http::WebSocketOptions options;
  options.ping_interval = kPingInterval;
  return options;
}

inline http::spdy::SessionOptions spdy_options() {
  http::spdy::SessionOptions options;
  options.ping_interval = kPingInterval;
  return options;
}

}  // namespace moth::server::streams
