// The proxy subresources of pods, services and nodes: requests go on to a server in the cluster,
// bodies pass through in pieces.
#include <fmt/format.h>

#include <charconv>

#include "api/base/await_on.h"
#include "api/server/api_server_impl.h"
#include "api/server/streams/addresses.h"
#include "api/server/streams/limits.h"
#include "api/server/streams/proxy.h"

namespace moth::server {
namespace {

using streams::ProxyName;
using streams::ProxyPath;

// A whole answer of this size is sent with its length, longer ones in pieces.
constexpr std::uint64_t kSmallAnswer = 64 * 1024;

std::string join_host(const std::string& host, std::string_view port) {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (!port.empty()) text += ":" + std::string(port);
  return text;
}

std::string first_container_port(const Json& pod) {
  const Json* containers = find_path(pod, "spec", "containers");
  for (const Json& container : containers ? *containers : Json::array()) {
    const Json* ports = find_member(container, "ports");
    if (ports && ports->is_array() && !ports->empty()) {
      return std::to_string(int_or(ports->front(), "containerPort"));
    }
  }
  return "";
}

// The name of a service's port that is given by name or by number.
Result<std::string> service_port_name(const Json& service, const ProxyName& wanted) {
  std::int64_t number = 0;
  const char* end = wanted.port.data() + wanted.port.size();
  auto [stop, problem] = std::from_chars(wanted.port.data(), end, number);
  if (wanted.port.empty() || problem != std::errc() || stop != end) return wanted.port;
  const Json* ports = find_path(service, "spec", "ports");
  for (const Json& port : ports ? *ports : Json::array()) {
    if (int_or(port, "port") == number) return string_or(port, "name");
  }
  return fail(Error::unavailable(
      fmt::format("no service port {} found for service \"{}\"", number, wanted.name)));
}

// "ip:port" of a ready endpoint behind the named port; `pick` chooses.
Result<std::string> ready_endpoint(const std::vector<ObjectPtr>& slices, const std::string& ns,
                                   const ProxyName& wanted, const std::string& port_name,
                                   std::uint64_t pick) {
  std::vector<std::string> addresses;
  bool any = false;
  for (const ObjectPtr& slice : slices) {
    auto label = slice->meta().labels.find("kubernetes.io/service-name");
    if (slice->ns() != ns || label == slice->meta().labels.end() || label->second != wanted.name)
      continue;
    const Json parsed = slice->parse();
    const Json* ports = find_member(parsed, "ports");
    const Json* endpoints = find_member(parsed, "endpoints");
    if (!ports || !endpoints || !ports->is_array() || !endpoints->is_array()) continue;
    any = any || !endpoints->empty();
    for (const Json& port : *ports) {
      if (string_or(port, "name") != port_name) continue;
      for (const Json& endpoint : *endpoints) {
        const Json* conditions = find_member(endpoint, "conditions");
        const Json* list = find_member(endpoint, "addresses");
        bool ready = !conditions || bool_or(*conditions, "ready", true);
        if (!ready || !list || list->empty()) continue;
        if (!streams::proxyable_address(list->front().get<std::string>())) {
          return fail(Error::bad_request("address not allowed"));
        }
        addresses.push_back(
            join_host(list->front().get<std::string>(), std::to_string(int_or(port, "port"))));
      }
    }
  }
  if (addresses.empty()) {
    return fail(
        Error::unavailable(fmt::format("no endpoints available for service \"{}\"", wanted.name)));
  }
  return addresses[pick % addresses.size()];
}

Error unreachable(const Error& why) {
  // Without the request that our client puts in front.
  std::string_view text = why.message;
  if (auto request = text.find("\": "); request != std::string_view::npos) {
    text.remove_prefix(request + 3);
  }
  return Error::unavailable(fmt::format("error trying to reach service: {}", text));
}

bool announces_body(const http::Request& request) {
  std::string_view length = request.headers.get("Content-Length");
  return request.headers.has("Transfer-Encoding") || (!length.empty() && length != "0");
}

bool is_page(const http::Headers& headers) {
  return headers.get("Content-Type").starts_with("text/html") && !headers.has("Content-Encoding");
}

}  // namespace

bool streams_request_body(const http::Request& request) {
  RequestInfo info = parse_request_info(request);
  return info.is_resource && info.subresource == "proxy" && info.gvr.group.empty();
}

// Where a request to pods/ID/proxy or services/ID/proxy goes: scheme://host[:port]. Control.
Result<std::string> ApiServer::Impl::proxy_backend(const Call& call) {
  bool of_pods = call.info.gvr.resource == "pods";
  auto wanted = streams::split_proxy_name(call.info.name);
  if (!wanted) {
    return fail(Error::bad_request(
        fmt::format("invalid {} request \"{}\"", of_pods ? "pod" : "service", call.info.name)));
  }
  std::string scheme = wanted->scheme.empty() ? "http" : wanted->scheme;
  MOTH_ASSIGN(ObjectPtr object, pipeline_.get({call.def, call.info.ns, wanted->name, ""}));
  const Json parsed = object->parse();
  if (of_pods) {
    const Json* ip = find_path(parsed, "status", "podIP");
    if (!ip || !ip->is_string() || !streams::proxyable_address(ip->get<std::string>())) {
      return fail(Error::bad_request("address not allowed"));
    }
    std::string port = wanted->port.empty() ? first_container_port(parsed) : wanted->port;
    return scheme + "://" + join_host(ip->get<std::string>(), port);
  }
  MOTH_ASSIGN(std::string port_name, service_port_name(parsed, *wanted));
  const resources::ResourceDef* def =
      pipeline_.registry().find("discovery.k8s.io", "v1", "endpointslices");
  std::vector<ObjectPtr> slices;
  if (def) slices = pipeline_.list({def, call.info.ns, "", ""}).objects;
  MOTH_ASSIGN(std::string address,
              ready_endpoint(slices, call.info.ns, *wanted, port_name, proxied_++));
  return scheme + "://" + address;
}

Task<Result<>> ApiServer::Impl::proxy(Call& call) {
  if (!call.rows) call.rows = pipeline_.registry().snapshot();
  const http::Request& request = call.request();
  ProxyPath path = streams::split_proxy_path(request.path, call.def->namespaced);
  std::string query;
  if (auto mark = request.target.find('?'); mark != std::string::npos) {
    query = request.target.substr(mark);
  }
  if (path.rest.empty() && (request.method == "GET" || request.method == "HEAD")) {
    http::Response redirect;
    redirect.status = 301;
    redirect.headers.set("Location", path.prefix + "/" + query);
    co_await call.exchange.send(std::move(redirect));
    co_return Result<>{};
  }
  Result<std::string> backend = std::string();
  if (call.info.gvr.resource == "nodes") {
    auto wanted = streams::split_proxy_name(call.info.name);
    if (!wanted) {
      co_return fail(
          Error::bad_request(fmt::format("invalid node request \"{}\"", call.info.name)));
    }
    auto node = co_await call_on(control(), [&] {
      return pipeline_.get({call.def, "", wanted->name, ""});
    });
    if (!node) co_return fail(node.error());
    co_return co_await node_endpoint(call, wanted->name, wanted->port);
  }
  backend = co_await call_on(control(), [&] { return proxy_backend(call); });
  if (!backend) co_return fail(backend.error());
  http::ClientRequest onward;
  onward.method = request.method;
  onward.url = *backend + (path.rest.empty() ? "/" : path.rest) + query;
  onward.timeout = std::chrono::milliseconds(0);
  bool upgrade =
      request.headers.has_token("Connection", "Upgrade") && !request.headers.get("Upgrade").empty();
  onward.headers = streams::forwarded_headers(request, path, upgrade);
  std::string host = backend->substr(backend->find("//") + 2);
  call.exchange.set_write_timeout(streams::kIdleTimeout);
  if (upgrade) co_return co_await proxy_upgrade(call, std::move(onward));
  co_return co_await proxy_request(call, std::move(onward), std::move(path), std::move(host));
}

Task<Result<>> ApiServer::Impl::proxy_upgrade(Call& call, http::ClientRequest onward) {
  auto upgraded = co_await proxy_client().upgrade(std::move(onward));
  if (!upgraded) co_return fail(unreachable(upgraded.error()));
  if (!upgraded->stream) {
    co_await call.exchange.send(std::move(upgraded->response));
    co_return Result<>{};
  }
  auto client = co_await call.exchange.upgrade_raw(upgraded->response.headers);
  if (!client) co_return fail(client.error());
  co_await http::splice(std::move(*client), std::move(upgraded->stream));
  co_return Result<>{};
}

Task<Result<>> ApiServer::Impl::proxy_request(Call& call, http::ClientRequest onward,
                                              ProxyPath path, std::string host) {
  const http::Request& request = call.request();
  http::Exchange& exchange = call.exchange;
  if (!request.body.empty()) {
    onward.body = request.body;
  } else if (announces_body(request)) {
    onward.body_source = [&exchange](char* data, std::size_t size) {
      return exchange.read_body(data, size);
    };
    std::string_view length = request.headers.get("Content-Length");
    std::uint64_t size = 0;
    auto [end, problem] = std::from_chars(length.data(), length.data() + length.size(), size);
    if (problem == std::errc() && !request.headers.has("Transfer-Encoding")) {
      onward.body_size = size;
    }
  }
  // Links can only be rewritten in plain text.
  if (request.headers.get("Accept").find("text/html") != std::string_view::npos) {
    onward.headers.remove("Accept-Encoding");
  }
  auto answer = co_await proxy_client().open(std::move(onward));
  if (!answer) co_return fail(unreachable(answer.error()));
  http::Response response;
  response.status = answer->status();
  response.headers = streams::returned_headers(answer->headers(), path, host);
  bool page = is_page(response.headers);
  bool bodiless = request.method == "HEAD" || response.status == 204 || response.status == 304;
  if (bodiless || (!page && answer->content_length().value_or(kSmallAnswer + 1) <= kSmallAnswer)) {
    if (!bodiless) {
      auto body = co_await answer->read_all(kSmallAnswer);
      if (!body) co_return fail(unreachable(body.error()));
      response.body = std::move(*body);
    }
    co_await exchange.send(std::move(response));
    co_return Result<>{};
  }
  auto writer = co_await exchange.start_stream(response.status, std::move(response.headers));
  if (!writer) co_return Result<>{};
  streams::HtmlLinks links(path.prefix, host);
  std::vector<char> buffer(streams::kPiece);
  for (;;) {
    auto count = co_await answer->read_some(buffer.data(), buffer.size());
    if (!count) {
      writer->abort();  // so that the client sees that something is missing
      co_return Result<>{};
    }
    std::string_view piece(buffer.data(), *count);
    std::string rewritten;
    if (page) {
      rewritten = *count == 0 ? links.finish() : links.take(piece);
      piece = rewritten;
    }
    if (!piece.empty() && !co_await writer->write(piece)) co_return Result<>{};
    if (*count == 0) break;
  }
  (void)co_await writer->finish();
  co_return Result<>{};
}

http::Client& ApiServer::Impl::proxy_client() {
  if (!proxy_client_) {
    http::ClientOptions options;
    // What runs in the cluster has certificates of its own; upstream does not check them either.
    http::ClientTlsConfig tls;
    tls.insecure = true;
    if (auto context = http::TlsContext::client(tls)) options.tls = *context;
    options.write_timeout = streams::kIdleTimeout;
    proxy_client_.emplace(executors_.io(), executors_.blocking(), std::move(options));
  }
  return *proxy_client_;
}

}  // namespace moth::server
