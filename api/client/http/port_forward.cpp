#include "api/client/http/port_forward.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace moth::client {
namespace {

constexpr std::size_t kMaxErrorText = 16 * 1024;

http::spdy::SessionOptions session_options() {
  http::spdy::SessionOptions options;
  options.ping_interval = std::chrono::seconds(10);
  return options;
}

http::Headers stream_headers(const char* type, std::uint16_t port, std::uint64_t request) {
  return {
      {"streamtype", type}, {"port", std::to_string(port)}, {"requestid", std::to_string(request)}};
}

Task<std::string> read_text(http::Stream* stream) {
  std::string text;
  std::array<char, 1024> buffer{};
  while (text.size() < kMaxErrorText) {
    auto count = co_await stream->read_some(buffer.data(), buffer.size());
    if (!count || *count == 0) break;
    text.append(buffer.data(), *count);
  }
  co_return text;
}

}  // namespace

PortForwardTunnel::PortForwardTunnel(http::WebSocket socket)
    : session_(http::stream_over_websocket(std::move(socket)), http::spdy::Session::Role::kClient,
               session_options()) {}

Task<Result<void>> PortForwardTunnel::forward(http::RawStream local, std::uint16_t port) {
  std::uint64_t request = next_request_++;
  auto errors = co_await session_.open(stream_headers("error", port, request));
  if (!errors) co_return fail(std::move(errors).error());
  // Nothing is ever said on it from here.
  co_await (*errors)->shutdown_write();
  auto data = co_await session_.open(stream_headers("data", port, request));
  if (!data) co_return fail(std::move(data).error());
  co_await http::splice(std::move(local), *std::move(data));
  std::string problem = co_await read_text(errors->get());
  if (!problem.empty()) co_return fail(Error::of(Reason::kInternalError, problem));
  co_return Result<void>();
}

}  // namespace moth::client
