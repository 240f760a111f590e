#pragma once
// Which protocol a client wants to speak after the upgrade of exec, attach and port-forward.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/server.h"

namespace moth::server::streams {

enum class Upgrade { kNone, kWebSocket, kSpdy };
Upgrade requested_upgrade(const http::Request& request);

// What a client that asks without an upgrade is told.
Error upgrade_required();

// The first of `offered`, the client's order, that is supported.
std::optional<std::string> first_supported(const std::vector<std::string>& offered,
                                           std::span<const std::string_view> supported);

struct SpdyUpgrade {
  http::RawStream connection;
  std::string protocol;  // of X-Stream-Protocol-Version; "" when the client named none
};
// Answers 101. Nothing when no protocol is common: then 403 was answered.
Task<Result<std::optional<SpdyUpgrade>>> upgrade_to_spdy(
    http::Exchange& exchange, std::span<const std::string_view> supported);

}  // namespace moth::server::streams
