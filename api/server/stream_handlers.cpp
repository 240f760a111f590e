// log, exec and attach: the server's end of the streams that the node gives.
#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/await_on.h"
#include "api/machinery/time.h"
#include "api/server/api_server_impl.h"

namespace moth::server {
namespace {

constexpr std::string_view kChannelProtocol = "v5.channel.k8s.io";

enum Channel : char {
  kStdin = 0,
  kStdout = 1,
  kStderr = 2,
  kErrorChannel = 3,
  kResize = 4,
  kClose = static_cast<char>(255)
};

Error no_node() {
  return Error::unavailable("this server runs without a node agent: there are no containers here");
}

// The container that is meant: the one named, the only one, or a 400 that lists the choice.
Result<std::string> choose_container(const Json& pod, const std::string& wanted) {
  std::vector<std::string> names, init_names;
  auto collect = [&](const char* list, std::vector<std::string>& into) {
    const Json* containers = find_path(pod, "spec", list);
    if (!containers) return;
    for (const Json& container : *containers) into.push_back(string_or(container, "name"));
  };
  collect("containers", names);
  collect("initContainers", init_names);
  collect("ephemeralContainers", init_names);
  std::string pod_name = pod.at("metadata").at("name").get<std::string>();
  if (wanted.empty()) {
    const Json* annotations = find_path(pod, "metadata", "annotations");
    std::string preferred =
        annotations ? string_or(*annotations, "kubectl.kubernetes.io/default-container") : "";
    for (const std::string& name : names) {
      if (name == preferred) return preferred;
    }
    if (names.size() == 1) return names.front();
    std::string choice = fmt::format("{}", fmt::join(names, " "));
    std::string text = fmt::format(
        "a container name must be specified for pod {}, choose one of: [{}]", pod_name, choice);
    if (!init_names.empty())
      text += fmt::format(" or one of the init containers: [{}]", fmt::join(init_names, " "));
    return fail(Error::bad_request(std::move(text)));
  }
  for (const auto* list : {&names, &init_names}) {
    for (const std::string& name : *list) {
      if (name == wanted) return wanted;
    }
  }
  return fail(
      Error::bad_request(fmt::format("container {} is not valid for pod {}", wanted, pod_name)));
}

Result<client::LogOptions> parse_log_options(const http::Query& query, WallTime now) {
  client::LogOptions options;
  options.follow = query.flag("follow");
  options.previous = query.flag("previous");
  options.timestamps = query.flag("timestamps");
  MOTH_ASSIGN(options.tail_lines, query.integer("tailLines"));
  MOTH_ASSIGN(options.limit_bytes, query.integer("limitBytes"));
  MOTH_ASSIGN(auto since, query.integer("sinceSeconds"));
  if (options.tail_lines && *options.tail_lines < 0) {
    return fail(Error::bad_request("tailLines: Invalid value: must be greater than or equal to 0"));
  }
  if (options.limit_bytes && *options.limit_bytes < 1) {
    return fail(Error::bad_request("limitBytes: Invalid value: must be greater than 0"));
  }
  if (since && *since < 1)
    return fail(Error::bad_request("sinceSeconds: Invalid value: must be greater than 0"));
  if (since) options.since = now - std::chrono::seconds(*since);
  if (std::string time(query.get("sinceTime")); !time.empty()) {
    MOTH_ASSIGN(options.since, parse_rfc3339(time));
  }
  return options;
}

// The Status that ends an exec session on channel 3.
std::string exit_status(int code) {
  if (code == 0) return R"({"metadata":{},"status":"Success"})";
  return Json{
      {"metadata", Json::object()},
      {"status", "Failure"},
      {"reason", "NonZeroExitCode"},
      {"message", fmt::format("command terminated with non-zero exit code: exit status {}", code)},
      {"details",
       {{"causes", Json::array({{{"reason", "ExitCode"}, {"message", std::to_string(code)}}})}}}}
      .dump();
}

std::string failure_status(const Error& error) {
  Json status = error.to_status();
  status["details"]["causes"] = Json::array({{{"message", error.message}}});
  return status.dump();
}

// What the client sends, until it closes.
Task<void> pump_input(http::WebSocket& socket, client::ExecSession& session) {
  for (;;) {
    auto message = co_await socket.read();
    if (!message || !*message) co_return;
    std::string& data = (*message)->data;
    if (data.empty()) continue;
    char channel = data.front();
    data.erase(0, 1);
    if (channel == kStdin && !data.empty()) {
      if (auto written = co_await session.write_stdin(std::move(data)); !written) co_return;
    } else if (channel == kResize) {
      Json size = Json::parse(data, nullptr, false);
      (void)co_await session.resize(static_cast<int>(int_or(size, "Width")),
                                    static_cast<int>(int_or(size, "Height")));
    } else if (channel == kClose && !data.empty() && data.front() == kStdin) {
      (void)co_await session.close_stdin();
    }
  }
}

// What the process says; the Status at its end.
Task<void> pump_output(http::WebSocket& socket, client::ExecSession& session) {
  for (;;) {
    auto output = co_await session.read();
    std::string_view error_channel("\x03", 1);
    if (!output) {
      (void)co_await socket.write_binary(error_channel, failure_status(output.error()));
      co_return;
    }
    if (output->data.empty()) {
      (void)co_await socket.write_binary(error_channel, exit_status(output->exit_code));
      co_return;
    }
    char channel = static_cast<char>(output->channel);
    if (auto sent = co_await socket.write_binary(std::string_view(&channel, 1), output->data);
        !sent)
      co_return;
  }
}

}  // namespace

Task<Result<>> ApiServer::Impl::log(Call& call) {
  if (!node_) co_return fail(no_node());
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  MOTH_CO_ASSIGN(client::LogOptions options,
                 parse_log_options(call.request().query, pipeline_.clock().wall()));
  MOTH_CO_ASSIGN(
      options.container,
      choose_container((*pod)->parse(), std::string(call.request().query.get("container"))));
  auto reader = co_await await_on(control(), node_->logs(*pod, options));
  if (!reader) co_return fail(reader.error());
  auto started = co_await call.exchange.start_stream(200, {{"Content-Type", "text/plain"}});
  if (!started) co_return fail(started.error());
  using namespace asio::experimental::awaitable_operators;
  while (!started->closed()) {
    auto raced = co_await ((*reader)->read() || started->wait_closed());
    if (raced.index() == 1) break;
    auto& text = std::get<0>(raced);
    if (!text || text->empty()) break;
    if (auto sent = co_await started->write(std::string_view(*text)); !sent) break;
  }
  (void)co_await started->finish();
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::exec(Call& call, bool attach) {
  if (!node_) co_return fail(no_node());
  const http::Query& query = call.request().query;
  auto pod = co_await call_on(control(), [&] {
    return pipeline_.get({call.def, call.info.ns, call.info.name, ""});
  });
  if (!pod) co_return fail(pod.error());
  client::ExecOptions options;
  MOTH_CO_ASSIGN(options.container,
                 choose_container((*pod)->parse(), std::string(query.get("container"))));
  options.command = query.all("command");
  options.stdin_open = query.flag("stdin");
  options.stdout_open = query.flag("stdout");
  options.stderr_open = query.flag("stderr");
  options.tty = query.flag("tty");
  if (!attach && options.command.empty()) {
    co_return fail(Error::bad_request("you must specify at least 1 command for the container"));
  }
  if (attach) options.command.clear();
  if (!call.exchange.websocket_requested()) {
    co_return fail(Error::bad_request(
        "exec and attach need a WebSocket upgrade with the subprotocol v5.channel.k8s.io"));
  }
  auto offered = call.exchange.websocket_protocols();
  if (std::find(offered.begin(), offered.end(), kChannelProtocol) == offered.end()) {
    co_return fail(
        Error::bad_request("none of the offered subprotocols is supported: use v5.channel.k8s.io"));
  }
  auto session = co_await await_on(control(), node_->exec(*pod, options));
  // A container that is not there is told before the upgrade; a command that cannot be started, on
  // the error channel, as upstream does.
  if (!session && session.error().reason == Reason::kBadRequest) co_return fail(session.error());
  auto socket = co_await call.exchange.upgrade_websocket(std::string(kChannelProtocol));
  if (!socket) co_return fail(socket.error());
  // An empty first message on the lowest output channel, as upstream sends.
  char lowest = options.stdout_open ? kStdout : options.stderr_open ? kStderr : kErrorChannel;
  (void)co_await socket->write_binary(std::string_view(&lowest, 1));
  if (!session) {
    (void)co_await socket->write_binary(std::string_view("\x03", 1),
                                        failure_status(session.error()));
    co_await socket->close(1000);
    co_return Result<>{};
  }
  using namespace asio::experimental::awaitable_operators;
  auto ended = co_await (pump_output(*socket, **session) || pump_input(*socket, **session));
  if (ended.index() == 0) co_await socket->close(1000);
  co_return Result<>{};
}

}  // namespace moth::server
