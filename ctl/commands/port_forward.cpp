#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/base/task_scope.h"
#include "api/client/http/port_forward.h"
#include "api/http/socket_stream.h"
#include "ctl/commands/all.h"
#include "ctl/commands/port_specs.h"
#include "ctl/objects/pods.h"

namespace moth::ctl {
namespace {

using asio::ip::tcp;
constexpr auto kWriteTimeout = std::chrono::minutes(5);

struct Listener {
  tcp::acceptor acceptor;
  ForwardedPort port;
};

struct Forwarding {
  Context& context;
  std::unique_ptr<client::PortForwardTunnel> tunnel;
  std::vector<std::unique_ptr<Listener>> listeners;
  TaskScope scope;
  std::string problem;  // why it ends

  Forwarding(Context& to, asio::any_io_executor executor) : context(to), scope(executor) {}
};

// "localhost" is 127.0.0.1 and ::1.
Outcome<std::vector<asio::ip::address>> addresses_of(const std::vector<std::string>& words) {
  std::vector<asio::ip::address> addresses;
  auto add = [&](const char* text) { addresses.push_back(asio::ip::make_address(text)); };
  for (const std::string& word : words) {
    if (word == "localhost") {
      add("127.0.0.1");
      add("::1");
      continue;
    }
    boost::system::error_code error;
    auto address = asio::ip::make_address(word, error);
    if (error) return refuse(fmt::format("{} is not a valid IP", word));
    addresses.push_back(address);
  }
  return addresses;
}

std::string shown(const asio::ip::address& address, unsigned port) {
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), port)
                         : fmt::format("{}:{}", address.to_string(), port);
}

// "" when it listens.
std::string listen_on(Forwarding& job, asio::any_io_executor executor,
                      const asio::ip::address& address, ForwardedPort& port) {
  auto listener = std::make_unique<Listener>(Listener{tcp::acceptor(executor), port});
  boost::system::error_code error;
  tcp::endpoint endpoint(address, port.local);
  tcp::acceptor& acceptor = listener->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return fmt::format("unable to create listener: Error listen {} {}: bind: {}",
                       address.is_v6() ? "tcp6" : "tcp4", shown(address, port.local),
                       http::errno_text(error.value()));
  port.local = acceptor.local_endpoint().port();
  listener->port = port;
  job.context.print("Forwarding from {} -> {}\n", shown(address, port.local), port.remote);
  job.listeners.push_back(std::move(listener));
  return "";
}

Outcome<> listen(Forwarding& job, asio::any_io_executor executor, std::vector<ForwardedPort>& ports,
                 const std::vector<asio::ip::address>& addresses) {
  std::string asked;
  for (ForwardedPort& port : ports) {
    std::size_t before = job.listeners.size();
    asked += fmt::format("{}{{{} {}}}", asked.empty() ? "" : " ", port.local, port.remote);
    std::string problems;
    for (const auto& address : addresses) {
      std::string problem = listen_on(job, executor, address, port);
      if (!problem.empty()) problems += (problems.empty() ? "" : " ") + problem;
    }
    // One of several addresses will do: a machine may be without IPv6.
    if (job.listeners.size() == before && !problems.empty()) {
      job.context.warn(
          "Unable to listen on port {}: Listeners failed to create with the following "
          "errors: [{}]",
          port.local, problems);
    }
  }
  job.context.flush();
  if (job.listeners.empty())
    return refuse(fmt::format("unable to listen on any of the requested ports: [{}]", asked));
  return {};
}

Task<void> forward_one(Forwarding* job, http::RawStream local, ForwardedPort port) {
  auto done = co_await job->tunnel->forward(std::move(local), port.remote);
  if (done || !job->problem.empty()) co_return;
  job->context.warn("error: an error occurred forwarding {} -> {}: {}", port.local, port.remote,
                    done.error().message);
  // kubectl gives up then as well: the pod behind may be another one by now.
  job->problem = "lost connection to pod";
  for (auto& listener : job->listeners) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
  }
  co_await job->tunnel->close();
}

Task<void> accept_all(Forwarding* job, Listener* listener) {
  for (;;) {
    boost::system::error_code error;
    tcp::socket socket =
        co_await listener->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    job->context.print("Handling connection for {}\n", listener->port.local);
    job->context.flush();
    int family = socket.remote_endpoint(error).address().is_v6() ? AF_INET6 : AF_INET;
    auto executor = socket.get_executor();
    socket.native_non_blocking(true, error);
    int descriptor = socket.release(error);
    if (error) continue;
    http::tune_socket(descriptor, family);
    auto stream = std::make_unique<http::SocketStream>(executor, descriptor, family, kWriteTimeout);
    job->scope.spawn("forward", forward_one(job, std::move(stream), listener->port));
  }
}

Task<void> serve(Forwarding* job) {
  for (auto& listener : job->listeners)
    job->scope.spawn("port-forward listener", accept_all(job, listener.get()));
  co_await job->tunnel->wait_ended();
  if (job->problem.empty()) job->problem = "lost connection to pod";
  job->scope.cancel();
  co_await job->scope.join();
}

Task<void> connect(Forwarding* job, client::RestClient* rest, RestRequest request,
                   std::optional<Failure>* failure) {
  auto socket =
      co_await rest->websocket(std::move(request), {std::string(client::kPortForwardProtocol)});
  if (!socket)
    failure->emplace(std::move(socket).error());
  else
    job->tunnel = std::make_unique<client::PortForwardTunnel>(*std::move(socket));
}

Outcome<int> run_port_forward(Context& context, const Arguments& arguments) {
  if (arguments.words.size() < 2)
    return context.usage_error("TYPE/NAME and list of ports are required for port-forward");
  const std::string& word = arguments.words[0];
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(auto pods, pods_behind(context, word));
  const Json& pod = pods[0];
  std::string phase = string_or(pod.value("status", Json::object()), "phase");
  if (phase != "Running")
    return refuse(
        fmt::format("unable to forward port because pod is not running. Current status={}", phase));
  Json object = pod;
  if (auto slash = word.find('/'); slash != std::string::npos) {
    MOTH_ASSIGN(const ApiResource* resource, api->resource(word.substr(0, slash)));
    if (resource->kind == "Service") {
      MOTH_ASSIGN(std::string ns, context.ns());
      MOTH_ASSIGN(object, api->get(*resource, ns, word.substr(slash + 1)));
    }
  }
  MOTH_ASSIGN(auto ports,
              parse_ports({arguments.words.begin() + 1, arguments.words.end()}, object, pod));
  MOTH_ASSIGN(auto addresses, addresses_of(arguments.texts("address")));
  MOTH_ASSIGN(const ApiResource* pods_resource, api->resource("pods"));
  Forwarding job(context, api->executor());
  RestRequest request;
  request.path = pods_resource->path(pod_namespace(pod), pod_name(pod), "portforward");
  std::optional<Failure> failure;
  api->run(connect(&job, &api->rest(), std::move(request), &failure));
  if (failure) return fail(*failure);
  if (!job.tunnel) return refuse("the connection was interrupted");
  MOTH_TRY(listen(job, api->executor(), ports, addresses));
  api->run(serve(&job));
  return refuse(job.problem);
}

}  // namespace

Command port_forward_command() {
  return {.name = "port-forward",
          .group = "Look",
          .summary = "Forward one or more local ports to a pod",
          .usage = "TYPE/NAME [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
          .examples =
              "moth port-forward web-0 8080:80\nmoth port-forward svc/web 8080:http\n"
              "moth port-forward deploy/web :80\n"
              "moth port-forward --address 0.0.0.0 web-0 8080:80",
          .flags = {{"address", 0, FlagKind::kList, "localhost",
                     "Addresses to listen on, joined by commas."},
                    {"pod-running-timeout", 0, FlagKind::kDuration, "1m0s",
                     "Taken for compatibility."}},
          .words = Words::kPods,
          .run = run_port_forward};
}

}  // namespace moth::ctl
