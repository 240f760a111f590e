#include "api/server/streams/negotiate.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace moth::server::streams {
namespace {

constexpr const char* kVersionHeader = "X-Stream-Protocol-Version";

}  // namespace

Upgrade requested_upgrade(const http::Request& request) {
  if (!request.headers.has_token("Connection", "Upgrade")) return Upgrade::kNone;
  if (request.headers.has_token("Upgrade", "websocket")) return Upgrade::kWebSocket;
  if (request.headers.has_token("Upgrade", "SPDY/3.1")) return Upgrade::kSpdy;
  return Upgrade::kNone;
}

Error upgrade_required() {
  return Error::bad_request("Upgrade request required");
}

std::optional<std::string> first_supported(const std::vector<std::string>& offered,
                                           std::span<const std::string_view> supported) {
  for (const std::string& protocol : offered) {
    if (std::find(supported.begin(), supported.end(), protocol) != supported.end()) return protocol;
  }
  return std::nullopt;
}

Task<Result<std::optional<SpdyUpgrade>>> upgrade_to_spdy(
    http::Exchange& exchange, std::span<const std::string_view> supported) {
  std::vector<std::string> offered;
  for (std::string_view line : exchange.request().headers.all(kVersionHeader)) {
    while (!line.empty()) {
      auto comma = line.find(',');
      std::string_view token = line.substr(0, comma);
      line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
      while (token.starts_with(' ')) token.remove_prefix(1);
      while (token.ends_with(' ')) token.remove_suffix(1);
      if (!token.empty()) offered.emplace_back(token);
    }
  }
  auto chosen = first_supported(offered, supported);
  if (!chosen && !offered.empty()) {
    http::Response refusal = http::Response::text(
        403, fmt::format("unable to upgrade: unable to negotiate protocol: client supports [{}], "
                         "server accepts [{}]\n",
                         fmt::join(offered, " "), fmt::join(supported, " ")));
    for (std::string_view protocol : supported) {
      refusal.headers.add("X-Accepted-Stream-Protocol-Versions", std::string(protocol));
    }
    co_await exchange.send(std::move(refusal));
    co_return std::nullopt;
  }
  http::Headers headers{{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
  if (chosen) headers.add(kVersionHeader, *chosen);
  auto connection = co_await exchange.upgrade_raw(std::move(headers));
  if (!connection) co_return fail(std::move(connection).error());
  co_return SpdyUpgrade{std::move(*connection), chosen.value_or("")};
}

}  // namespace moth::server::streams
