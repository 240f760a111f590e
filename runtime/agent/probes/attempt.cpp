#include "runtime/agent/probes/attempt.h"

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/http/tls.h"

namespace moth::agent {

using namespace asio::experimental::awaitable_operators;
using Outcome = AttemptResult::Outcome;

namespace {

constexpr std::size_t kMaxOutput = 10 * 1024;
constexpr int kMaxRedirects = 10;

std::string join_host_port(const std::string& host, int port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

http::ClientOptions probe_options() {
  http::ClientOptions options;
  http::ClientTlsConfig tls;
  tls.insecure = true;  // a probe asks whether something answers, not who
  if (auto context = http::TlsContext::client(tls)) options.tls = *context;
  options.max_idle_per_origin = 0;  // every try is a connection of its own
  options.user_agent = "kube-probe/1.36";
  return options;
}

}  // namespace

int resolve_port(const IntOrString& port, const resources::Container& container) {
  if (!port.is_string) return port.number;
  const auto* named = container.port_named(port.text);
  if (named) return named->container_port;
  int number = 0;
  for (char c : port.text) {
    if (c < '0' || c > '9' || number > 65535) return 0;
    number = number * 10 + (c - '0');
  }
  return number;
}

AttemptRunner::AttemptRunner(Executors& executors)
    : client_(
          std::make_unique<http::Client>(executors.io(), executors.blocking(), probe_options())) {}

AttemptRunner::~AttemptRunner() = default;

Task<AttemptResult> AttemptRunner::run(const PodContext& pod, const resources::Container& container,
                                       const resources::Handler& handler, shim::Container& running,
                                       Duration timeout) {
  switch (handler.kind) {
    case resources::Handler::Kind::kHttpGet:
      co_return co_await http(pod, container, handler, timeout);
    case resources::Handler::Kind::kTcpSocket:
      co_return co_await tcp(pod, container, handler, timeout);
    case resources::Handler::Kind::kExec:
      co_return co_await exec(handler, running, timeout);
    case resources::Handler::Kind::kSleep: {
      asio::steady_timer timer(co_await asio::this_coro::executor, handler.sleep);
      co_await timer.async_wait(asio::use_awaitable);
      co_return AttemptResult{};
    }
    case resources::Handler::Kind::kGrpc:
      co_return AttemptResult{Outcome::kError,
                              "gRPC probes are not supported yet: use httpGet, tcpSocket or exec"};
    case resources::Handler::Kind::kNone:
      break;
  }
  co_return AttemptResult{Outcome::kError, "missing probe handler"};
}

Task<AttemptResult> AttemptRunner::http(const PodContext& pod,
                                        const resources::Container& container,
                                        const resources::Handler& handler, Duration timeout) {
  int port = resolve_port(handler.port, container);
  if (port < 1)
    co_return AttemptResult{Outcome::kError,
                            fmt::format("couldn't find port: {}", handler.port.to_string())};
  std::string host = handler.host.empty() ? pod.pod_ip : handler.host;
  std::string scheme = handler.scheme == "HTTPS" ? "https" : "http";
  http::ClientRequest request;
  std::string path = handler.path.starts_with('/') ? handler.path : "/" + handler.path;
  request.url = fmt::format("{}://{}{}", scheme, join_host_port(host, port), path);
  request.headers.add("User-Agent", "kube-probe/1.36");
  request.headers.add("Accept", "*/*");
  for (const auto& [name, value] : handler.http_headers) request.headers.set(name, value);
  request.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(timeout);
  request.max_redirects = kMaxRedirects;
  request.body_limit = 1u << 20;
  auto response = co_await client_->request(std::move(request));
  if (!response) co_return AttemptResult{Outcome::kFailure, response.error().message};
  if (response->status >= 200 && response->status < 400) co_return AttemptResult{};
  co_return AttemptResult{Outcome::kFailure,
                          fmt::format("HTTP probe failed with statuscode: {}", response->status)};
}

Task<AttemptResult> AttemptRunner::tcp(const PodContext& pod, const resources::Container& container,
                                       const resources::Handler& handler, Duration timeout) {
  int port = resolve_port(handler.port, container);
  if (port < 1)
    co_return AttemptResult{Outcome::kError,
                            fmt::format("couldn't find port: {}", handler.port.to_string())};
  std::string host = handler.host.empty() ? pod.pod_ip : handler.host;
  boost::system::error_code error;
  auto address = asio::ip::make_address(host, error);
  if (error)
    co_return AttemptResult{Outcome::kFailure,
                            fmt::format("dial tcp: lookup {}: no such host", host)};
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::socket socket(executor);
  asio::steady_timer timer(executor, timeout);
  auto raced = co_await (socket.async_connect({address, static_cast<std::uint16_t>(port)},
                                              asio::redirect_error(asio::use_awaitable, error)) ||
                         timer.async_wait(asio::use_awaitable));
  std::string target = join_host_port(host, port);
  if (raced.index() == 1)
    co_return AttemptResult{Outcome::kFailure, fmt::format("dial tcp {}: i/o timeout", target)};
  if (error) {
    std::string text =
        error == asio::error::connection_refused ? "connection refused" : error.message();
    co_return AttemptResult{Outcome::kFailure,
                            fmt::format("dial tcp {}: connect: {}", target, text)};
  }
  co_return AttemptResult{};
}

Task<AttemptResult> AttemptRunner::exec(const resources::Handler& handler, shim::Container& running,
                                        Duration timeout) {
  auto result = co_await running.run_command(handler.command, timeout, kMaxOutput);
  if (!result) co_return AttemptResult{Outcome::kError, result.error().message};
  if (result->timed_out) {
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout).count();
    co_return AttemptResult{Outcome::kFailure,
                            fmt::format("command timed out: \"{}\" timed out after {}s",
                                        fmt::join(handler.command, " "), seconds)};
  }
  if (result->exit_code == 0) co_return AttemptResult{Outcome::kSuccess, result->output};
  co_return AttemptResult{Outcome::kFailure, result->output};
}

}  // namespace moth::agent
