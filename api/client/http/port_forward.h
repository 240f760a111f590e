#pragma once
// The client's side of port-forward: SPDY/3.1 frames inside a WebSocket, as every API server from
// 1.31 on speaks it. Everything on the WebSocket's executor.
#include <cstdint>
#include <memory>
#include <string_view>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/spdy/session.h"
#include "api/http/stream.h"
#include "api/http/websocket.h"

namespace moth::client {

inline constexpr std::string_view kPortForwardProtocol = "SPDY/3.1+portforward.k8s.io";

// One connection to a pod, which carries any number of forwarded ones. Outlives its forward()s.
class PortForwardTunnel {
 public:
  explicit PortForwardTunnel(http::WebSocket socket);

  // Copies between `local` and a port of the pod until both sides have finished. The error is what
  // the node says ("... connection refused") or that the tunnel broke.
  Task<Result<void>> forward(http::RawStream local, std::uint16_t port);
  // Ends it; connections that it carries are cut.
  Task<void> close() { return session_.close(); }
  // Completes when the tunnel has ended.
  Task<void> wait_ended() { return session_.wait_ended(); }
  bool ended() const { return session_.ended(); }

 private:
  http::spdy::Session session_;
  std::uint64_t next_request_ = 0;
};

}  // namespace moth::client
