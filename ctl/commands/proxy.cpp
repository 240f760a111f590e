#include <fmt/format.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "api/http/server.h"
#include "ctl/cli/context.h"
#include "ctl/commands/all.h"
#include "ctl/commands/proxy_rules.h"

namespace moth::ctl {
namespace {

struct Proxy {
  client::RestClient& rest;
  ProxyRules rules;
  std::string prefix;      // of paths that go to the API server, ends in '/'
  std::string www, files;  // the prefix of files and their folder
};

// What concerns one connection only, and what we add ourselves.
bool passed_on(std::string_view name) {
  for (std::string_view own : {"Host", "Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade",
                               "TE", "Trailer", "Content-Length", "Authorization", "Expect"})
    if (http::iequals(name, own)) return false;
  return true;
}

http::ClientRequest forwarded(const http::Request& request, const std::string& target) {
  http::ClientRequest out;
  out.method = request.method;
  out.url = target;
  out.body = request.body;
  for (const http::Header& line : request.headers)
    if (passed_on(line.name)) out.headers.add(line.name, line.value);
  return out;
}

http::Response plain(int status, std::string text) {
  return http::Response::text(status, std::move(text));
}

Task<void> pass_upgrade(Proxy* proxy, http::Exchange* exchange, std::string target) {
  http::ClientRequest request = forwarded(exchange->request(), target);
  for (const char* name : {"Connection", "Upgrade"})
    request.headers.set(name, std::string(exchange->request().headers.get(name)));
  auto answer = co_await proxy->rest.forward_upgrade(std::move(request));
  if (!answer) {
    co_await exchange->send(plain(502, answer.error().message + "\n"));
    co_return;
  }
  if (!answer->stream) {
    co_await exchange->send(std::move(answer->response));
    co_return;
  }
  auto stream = co_await exchange->upgrade_raw(answer->response.headers, answer->response.status);
  if (stream) co_await http::splice(*std::move(stream), std::move(answer->stream));
}

Task<void> pass(Proxy* proxy, http::Exchange* exchange, std::string target) {
  auto answer = co_await proxy->rest.forward(forwarded(exchange->request(), target));
  if (!answer) {
    co_await exchange->send(plain(502, answer.error().message + "\n"));
    co_return;
  }
  http::Headers headers;
  for (const http::Header& line : answer->headers())
    if (passed_on(line.name)) headers.add(line.name, line.value);
  if (answer->content_length() && *answer->content_length() < (1u << 20)) {
    auto whole = co_await answer->collect();
    if (!whole) {
      co_await exchange->send(plain(502, whole.error().message + "\n"));
      co_return;
    }
    whole->headers = std::move(headers);
    co_await exchange->send(*std::move(whole));
    co_return;
  }
  auto writer = co_await exchange->start_stream(answer->status(), std::move(headers));
  if (!writer) co_return;
  for (;;) {
    auto piece = co_await answer->read_piece();
    if (!piece) {
      writer->abort();
      co_return;
    }
    if (piece->empty()) break;
    if (!co_await writer->write(*piece)) co_return;
  }
  (void)co_await writer->finish();
}

std::string_view type_of(const std::string& extension) {
  for (auto [known, type] : {std::pair(".html", "text/html"), std::pair(".js", "text/javascript"),
                             std::pair(".css", "text/css"), std::pair(".json", "application/json"),
                             std::pair(".svg", "image/svg+xml"), std::pair(".png", "image/png")})
    if (extension == known) return type;
  return "application/octet-stream";
}

// A file below --www; nothing outside of it, whatever the path says.
http::Response file_response(const Proxy& proxy, const std::vector<std::string>& segments,
                             std::size_t skipped) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path root = fs::canonical(proxy.files, error);
  fs::path path = root;
  for (std::size_t i = skipped; i < segments.size(); ++i) path /= segments[i];
  if (fs::is_directory(path, error)) path /= "index.html";
  path = fs::canonical(path, error);
  bool inside = !error && path.string().starts_with(root.string() + "/");
  std::ifstream file(path, std::ios::binary);
  if (!inside || !file) return plain(404, "404 page not found\n");
  http::Response response;
  response.headers.set("Content-Type", std::string(type_of(path.extension().string())));
  response.body.assign(std::istreambuf_iterator<char>(file), {});
  return response;
}

std::size_t segments_of(const std::string& path) {
  http::Request request;
  request.set_target(path);
  return request.segments.size();
}

Task<void> handle(Proxy* proxy, http::Exchange* exchange) {
  const http::Request& request = exchange->request();
  if (!proxy->rules.allowed(request.method, request.path,
                            std::string(request.headers.get("Host")))) {
    co_await exchange->send(plain(403, "Forbidden\n"));
    co_return;
  }
  if (!proxy->files.empty() && request.path.starts_with(proxy->www)) {
    co_await exchange->send(file_response(*proxy, request.segments, segments_of(proxy->www)));
    co_return;
  }
  if (!request.path.starts_with(proxy->prefix)) {
    co_await exchange->send(plain(404, "404 page not found\n"));
    co_return;
  }
  std::string target = "/" + request.target.substr(proxy->prefix.size());
  if (request.headers.has_token("Connection", "Upgrade"))
    co_await pass_upgrade(proxy, exchange, std::move(target));
  else
    co_await pass(proxy, exchange, std::move(target));
}

Task<void> for_ever(asio::any_io_executor executor) {
  asio::steady_timer never(executor, asio::steady_timer::time_point::max());
  co_await never.async_wait(asio::use_awaitable);
}

std::string slashed(std::string text) {
  if (!text.starts_with('/')) text = "/" + text;
  if (!text.ends_with('/')) text += "/";
  return text;
}

Outcome<int> run_proxy(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Api * api, context.api());
  auto none_when = [&](bool off, const char* flag) {
    return off ? std::string() : arguments.text(flag);
  };
  bool open = arguments.flag("disable-filter");
  if (open && arguments.text("unix-socket").empty())
    context.warn(
        "Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious");
  MOTH_ASSIGN(ProxyRules rules, ProxyRules::make(open ? ".*" : arguments.text("accept-paths"),
                                                 none_when(open, "reject-paths"),
                                                 open ? ".*" : arguments.text("accept-hosts"),
                                                 none_when(open, "reject-methods")));
  Proxy proxy{api->rest(), std::move(rules), slashed(arguments.text("api-prefix")),
              slashed(arguments.text("www-prefix")), arguments.text("www")};
  http::ServerOptions options;
  options.write_timeout = std::chrono::minutes(5);
  http::Server server(
      api->executor(), [&proxy](http::Exchange& exchange) { return handle(&proxy, &exchange); },
      options);
  if (const std::string& path = arguments.text("unix-socket"); !path.empty()) {
    MOTH_TRY(server.listen_unix(path, 0600));
    context.print("Starting to serve on {}\n", path);
  } else {
    std::int64_t port = arguments.integer("port");
    if (port < 0 || port > 65535) return refuse(fmt::format("invalid port {}", port));
    MOTH_ASSIGN(std::uint16_t taken,
                server.listen_tcp(arguments.text("address"), static_cast<std::uint16_t>(port)));
    context.print("Starting to serve on {}:{}\n", arguments.text("address"), taken);
  }
  context.flush();
  server.start();
  api->run(for_ever(api->executor()));
  return 0;
}

}  // namespace

Command proxy_command() {
  return {
      .name = "proxy",
      .group = "Look",
      .summary = "Run a proxy to the API server that adds your credentials",
      .usage = "[--port=PORT] [--www=static-dir] [--www-prefix=prefix] [--api-prefix=prefix]",
      .details =
          "Whoever reaches the proxy is you to the API server. It listens on 127.0.0.1 and "
          "refuses requests for other hosts, and the paths of exec and attach.",
      .examples = "moth proxy --port=8001\ncurl http://127.0.0.1:8001/api/v1/pods",
      .flags = {{"accept-hosts", 0, FlagKind::kText, "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$",
                 "Regular expressions for hosts that the proxy answers for."},
                {"accept-paths", 0, FlagKind::kText, "^.*",
                 "Regular expressions for paths that are passed on."},
                {"address", 0, FlagKind::kText, "127.0.0.1", "Address to listen on."},
                {"api-prefix", 0, FlagKind::kText, "/", "Paths below it go to the API server."},
                {"append-server-path", 0, FlagKind::kBool, "", "Taken for compatibility."},
                {"disable-filter", 0, FlagKind::kBool, "", "Pass everything on. Dangerous."},
                {"keepalive", 0, FlagKind::kDuration, "0", "Taken for compatibility."},
                {"port", 'p', FlagKind::kInteger, "8001", "Port to listen on; 0: a free one."},
                {"reject-methods", 0, FlagKind::kText, "^$",
                 "Regular expressions for methods that are refused."},
                {"reject-paths", 0, FlagKind::kText,
                 "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach",
                 "Regular expressions for paths that are refused."},
                {"unix-socket", 'u', FlagKind::kText, "", "Listen on this unix socket instead."},
                {"www", 'w', FlagKind::kText, "", "Also serve the files of this folder."},
                {"www-prefix", 'P', FlagKind::kText, "/static/", "Paths below it are files."}},
      .run = run_proxy};
}

}  // namespace moth::ctl
