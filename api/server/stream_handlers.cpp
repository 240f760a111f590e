// exec, attach and port-forward: the upgrade, and who is connected with whom; streams/ has the
// rest.
#include <fmt/format.h>

#include "api/base/await_on.h"
#include "api/server/api_server_impl.h"
#include "api/server/pod_choice.h"
#include "api/server/streams/limits.h"
#include "api/server/streams/negotiate.h"
#include "api/server/streams/port_forward.h"
#include "api/server/streams/remote_command.h"

namespace moth::server {
namespace {

using streams::CommandClient;
using streams::Upgrade;

Result<client::ExecOptions> parse_exec_options(const http::Query& query, bool attach) {
  client::ExecOptions options;
  options.stdin_open = query.flag("stdin");
  options.stdout_open = query.flag("stdout");
  options.tty = query.flag("tty");
  // A terminal has one output.
  options.stderr_open = query.flag("stderr") && !options.tty;
  if (!options.stdin_open && !options.stdout_open && !options.stderr_open) {
    return fail(Error::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
  }
  if (attach) return options;
  options.command = query.all("command");
  if (options.command.empty()) {
    return fail(Error::bad_request("you must specify at least 1 command for the container"));
  }
  return options;
}

Error no_subprotocol(std::span<const std::string_view> supported) {
  return Error::bad_request(
      fmt::format("unable to upgrade: none of the offered subprotocols is supported: use one of {}",
                  fmt::join(supported, ", ")));
}

// The subprotocol to answer with: "" for a client that offers none, an error when none fits.
Result<std::string> choose_subprotocol(const http::Exchange& exchange,
                                       std::span<const std::string_view> supported) {
  auto offered = exchange.websocket_protocols();
  if (offered.empty()) return std::string();
  if (auto chosen = streams::first_supported(offered, supported)) return *chosen;
  return fail(no_subprotocol(supported));
}

// Null: everything was answered already.
Task<Result<std::unique_ptr<CommandClient>>> connect_command(http::Exchange& exchange,
                                                             streams::CommandStreams wanted) {
  if (streams::requested_upgrade(exchange.request()) == Upgrade::kSpdy) {
    MOTH_CO_ASSIGN(auto upgraded,
                   co_await streams::upgrade_to_spdy(exchange, streams::command_spdy_protocols()));
    if (!upgraded) co_return std::unique_ptr<CommandClient>();
    co_return co_await streams::make_spdy_command(std::move(upgraded->connection),
                                                  std::move(upgraded->protocol), wanted);
  }
  MOTH_CO_ASSIGN(std::string protocol,
                 choose_subprotocol(exchange, streams::command_websocket_protocols()));
  auto socket = co_await exchange.upgrade_websocket(protocol, streams::websocket_options());
  if (!socket) co_return fail(socket.error());
  co_return co_await streams::make_websocket_command(std::move(*socket), wanted);
}

}  // namespace

Error ApiServer::Impl::no_node() {
  return Error::unavailable("this server runs without a node agent: there are no containers here");
}

Task<Result<>> ApiServer::Impl::exec(Call& call, bool attach) {
  const http::Query& query = call.request().query;
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  const Json parsed = (*pod)->parse();
  std::string wanted(query.get("container"));
  MOTH_CO_ASSIGN(std::string container, choose_container(parsed, wanted));
  MOTH_CO_ASSIGN(client::ExecOptions options, parse_exec_options(query, attach));
  options.container = std::move(container);
  MOTH_CO_TRY(check_assigned(parsed));
  if (!node_) co_return fail(no_node());
  Upgrade upgrade = streams::requested_upgrade(call.request());
  if (upgrade == Upgrade::kNone) co_return fail(streams::upgrade_required());
  if (upgrade == Upgrade::kWebSocket) {
    MOTH_CO_TRY(choose_subprotocol(call.exchange, streams::command_websocket_protocols()));
  }
  auto session = co_await await_on(control(), node_->exec(*pod, options));
  // A container that is not there is told before the upgrade; a command that cannot be started, on
  // the error channel, as upstream does.
  if (!session && session.error().reason == Reason::kBadRequest) co_return fail(session.error());
  streams::CommandStreams channels{options.stdin_open, options.stdout_open, options.stderr_open,
                                   options.tty};
  call.exchange.set_write_timeout(streams::kIdleTimeout);
  auto client = co_await connect_command(call.exchange, channels);
  if (!client) co_return fail(client.error());
  if (!*client) co_return Result<>{};
  if (session) {
    co_await streams::run_command(**client, **session, channels);
  } else {
    streams::CommandEnd end;
    end.error = session.error();
    co_await (*client)->finish(end);
  }
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::port_forward(Call& call) {
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  MOTH_CO_TRY(check_assigned((*pod)->parse()));
  if (!node_) co_return fail(no_node());
  // Every connection asks anew: the pod may have been deleted meanwhile.
  auto dial = [this, pod = *pod](int port) -> Task<Result<http::RawStream>> {
    return await_on(control(), node_->connect(pod, port));
  };
  streams::ForwardTarget target{call.info.name, std::move(dial)};
  http::Exchange& exchange = call.exchange;
  Upgrade upgrade = streams::requested_upgrade(call.request());
  if (upgrade == Upgrade::kNone) co_return fail(streams::upgrade_required());
  exchange.set_write_timeout(streams::kIdleTimeout);
  if (upgrade == Upgrade::kSpdy) {
    MOTH_CO_ASSIGN(auto upgraded,
                   co_await streams::upgrade_to_spdy(exchange, streams::forward_spdy_protocols()));
    if (upgraded)
      co_await streams::forward_spdy(std::move(upgraded->connection), std::move(target));
    co_return Result<>{};
  }
  auto offered = exchange.websocket_protocols();
  if (std::find(offered.begin(), offered.end(), streams::kTunnelProtocol) != offered.end()) {
    auto socket = co_await exchange.upgrade_websocket(std::string(streams::kTunnelProtocol),
                                                      streams::websocket_options());
    if (!socket) co_return fail(socket.error());
    co_await streams::forward_spdy(http::stream_over_websocket(std::move(*socket)),
                                   std::move(target));
    co_return Result<>{};
  }
  MOTH_CO_ASSIGN(std::vector<int> ports, streams::forward_ports(call.request().query));
  MOTH_CO_ASSIGN(std::string protocol,
                 choose_subprotocol(exchange, streams::forward_channel_protocols()));
  auto socket = co_await exchange.upgrade_websocket(protocol, streams::websocket_options());
  if (!socket) co_return fail(socket.error());
  co_await streams::forward_channels(std::move(*socket), std::move(ports), std::move(target));
  co_return Result<>{};
}

}  // namespace moth::server
