#pragma once
// port-forward: streams of a client to ports of a pod, over SPDY (raw or inside a WebSocket) or as
// channels of a WebSocket. io executor.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"
#include "api/http/stream.h"
#include "api/http/websocket.h"

namespace moth::server::streams {

struct ForwardTarget {
  std::string pod;  // as error messages name it
  std::function<Task<Result<http::RawStream>>(int port)> dial;
};

// "SPDY/3.1+portforward.k8s.io": the payload of a WebSocket is a SPDY connection.
inline constexpr std::string_view kTunnelProtocol = "SPDY/3.1+portforward.k8s.io";
std::span<const std::string_view> forward_spdy_protocols();
// Two channels for each port: data, errors.
std::span<const std::string_view> forward_channel_protocols();

// The ports of the query, which channel protocols need: `ports` or `port`, repeated or with commas.
Result<std::vector<int>> forward_ports(const http::Query& query);

// Until the client goes.
Task<void> forward_spdy(http::RawStream connection, ForwardTarget target);
// Until the client goes or every port's connection ended.
Task<void> forward_channels(http::WebSocket socket, std::vector<int> ports, ForwardTarget target);

}  // namespace moth::server::streams
