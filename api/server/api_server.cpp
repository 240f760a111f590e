#include "api/server/api_server.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/await_on.h"
#include "api/base/log.h"
#include "api/server/api_server_impl.h"
#include "api/server/auth/impersonation.h"

namespace moth::server {
namespace {

bool has_verb(unsigned verbs, const std::string& verb) {
  std::vector<std::string> names = resources::verb_names(verbs);
  return std::find(names.begin(), names.end(), verb) != names.end();
}

bool opens_stream(const RequestInfo& info) {
  return info.is_resource && info.verb == "get" && info.gvr.group.empty() &&
         info.gvr.resource == "pods" &&
         (info.subresource == "exec" || info.subresource == "attach" ||
          info.subresource == "portforward");
}

}  // namespace

ApiServer::ApiServer(Executors& executors, Pipeline& pipeline, client::NodeApi* node,
                     ApiServerOptions options)
    : impl_(std::make_unique<Impl>(executors, pipeline, node, std::move(options))) {}
ApiServer::~ApiServer() = default;
Task<void> ApiServer::handle(http::Exchange& exchange) {
  return impl_->handle(exchange);
}
Task<void> ApiServer::stop() {
  return impl_->stop();
}

ApiServer::Impl::Impl(Executors& executors, Pipeline& pipeline, client::NodeApi* node,
                      ApiServerOptions options)
    : executors_(executors),
      pipeline_(pipeline),
      node_(node),
      options_(std::move(options)),
      snapshots_(pipeline.clock(), options_.max_list_snapshots),
      openapi_(pipeline.registry(), options_.version),
      openapi_v2_(executors, pipeline.registry(), options_.version),
      rows_changed_(std::make_shared<Notifier>(executors.control())),
      image_jobs_(executors.control()) {
  pipeline.registry().on_change([changed = rows_changed_] { changed->notify(); });
}

Error ApiServer::Impl::not_allowed() {
  return Error::of(Reason::kMethodNotAllowed,
                   "the server does not allow this method on the requested resource");
}

Task<void> ApiServer::Impl::stop() {
  image_jobs_.cancel();
  co_await image_jobs_.join();
}

Task<void> ApiServer::Impl::handle(http::Exchange& exchange) {
  Call call{exchange, parse_request_info(exchange.request()), {}, nullptr, {}, {}};
  const http::Request& request = exchange.request();
  if (auto taken = take_websocket_token(exchange.request()); !taken) {
    co_await exchange.send_error(taken.error());
    co_return;
  }
  auto user = co_await identify(request);
  if (!user) {
    co_await exchange.send_error(user.error());
    co_return;
  }
  call.context.user = *std::move(user);
  call.context.user_agent = request.headers.get("User-Agent");
  call.context.field_manager = request.query.get("fieldManager");
  call.context.field_validation = request.query.get("fieldValidation");
  call.context.dry_run = request.query.get("dryRun") == "All";
  call.context.force = request.query.flag("force");
  const Attributes wanted = attributes_of(call.info, request.query.get("fieldSelector"));
  auto allowed = options_.authorizer->check(call.context.user, wanted);
  // WebSockets open with GET, but a stream into a pod is more than reading.
  if (allowed && opens_stream(call.info)) {
    Attributes create = wanted;
    create.verb = "create";
    allowed = options_.authorizer->check(call.context.user, create);
  }
  if (!allowed) {
    co_await exchange.send_error(allowed.error());
    co_return;
  }
  auto result = co_await dispatch(call);
  if (result) co_return;
  log::debug("request failed", log::field("method", request.method),
             log::field("path", request.path), log::field("error", result.error().message));
  if (exchange.answered()) co_return;
  if (call.context.warnings.empty()) {
    co_await exchange.send_error(result.error());
    co_return;
  }
  // A refusal may come with advice, too.
  http::Response refused = http::Response::from_error(result.error());
  for (const std::string& text : call.context.warnings) {
    refused.headers.add("Warning",
                        "299 - " + Json(text).dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  co_await exchange.send(std::move(refused));
}

// Who asks, and as whom.
Task<Result<UserInfo>> ApiServer::Impl::identify(const http::Request& request) {
  auto user = options_.authenticator.authenticate(request);
  std::string token(user ? std::string_view() : bearer_token(request));
  if (!user && options_.tokens && !request.peer && request.peer_error.empty() &&
      jwt::looks_like_token(token))
    user = co_await options_.tokens->authenticate(std::move(token));
  if (!user) co_return fail(user.error());
  co_return impersonate(*options_.authorizer, *std::move(user), request);
}

Task<Result<>> ApiServer::Impl::dispatch(Call& call) {
  if (!call.info.is_resource) co_return co_await dispatch_other(call);
  if (call.info.gvr.group == "metrics.k8s.io") co_return co_await metrics_api(call);
  call.rows = pipeline_.registry().snapshot();
  call.def = pipeline_.registry().find(call.info.gvr);
  if (!call.def || !call.def->served) {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  if (call.def->namespaced != !call.info.ns.empty() &&
      (!call.info.name.empty() || !call.info.ns.empty())) {
    co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
    co_return Result<>{};
  }
  if (!call.def->deprecation.empty()) call.context.warnings.push_back(call.def->deprecation);
  call.target = {call.def, call.info.ns, call.info.name, call.info.subresource};
  if (!call.info.subresource.empty()) co_return co_await dispatch_subresource(call);
  co_return co_await dispatch_resource(call);
}

Task<Result<>> ApiServer::Impl::dispatch_resource(Call& call) {
  const std::string& verb = call.info.verb;
  // All namespaces at once can only be read.
  bool everywhere = call.def->namespaced && call.info.ns.empty();
  bool reads = verb == "get" || verb == "list" || verb == "watch";
  if (!has_verb(call.def->verbs, verb) || (everywhere && !reads)) co_return fail(not_allowed());
  if (verb == "get") co_return co_await get(call);
  if (verb == "list") co_return co_await list(call);
  if (verb == "watch") co_return co_await watch(call);
  if (verb == "create" && call.info.name.empty()) co_return co_await create(call);
  if (verb == "update" && !call.info.name.empty()) co_return co_await update(call);
  if (verb == "patch" && !call.info.name.empty()) co_return co_await patch(call);
  if (verb == "delete") co_return co_await remove(call);
  if (verb == "deletecollection") co_return co_await remove_collection(call);
  co_return fail(not_allowed());
}

// What a stream is opened with, as webhooks for CONNECT see it.
static Json connect_options(const std::string& kind, const http::Query& query) {
  Json options = {{"kind", kind}, {"apiVersion", "v1"}};
  for (const char* flag : {"stdin", "stdout", "stderr", "tty"}) {
    if (query.flag(flag)) options[flag] = true;
  }
  for (const char* text : {"container", "path"}) {
    if (std::string value(query.get(text)); !value.empty()) options[text] = value;
  }
  for (const std::string& word : query.all("command")) options["command"].push_back(word);
  return options;
}

Task<Result<>> ApiServer::Impl::dispatch_subresource(Call& call) {
  const std::string& name = call.info.subresource;
  if (!call.def->subresource(name)) {
    co_return fail(
        Error::of(Reason::kNotFound, "the server could not find the requested resource"));
  }
  if (name == "log") co_return co_await log(call);
  if (name == "exec" || name == "attach" || name == "portforward" || name == "proxy") {
    Json options = connect_options(call.def->subresource(name)->kind.kind, call.request().query);
    MOTH_CO_TRY(co_await await_on(
        control(), pipeline_.admit_connect(call.target, std::move(options), call.context)));
  }
  if (name == "exec") co_return co_await exec(call, false);
  if (name == "attach") co_return co_await exec(call, true);
  if (name == "portforward") co_return co_await port_forward(call);
  if (name == "proxy") co_return co_await proxy(call);
  const std::string& verb = call.info.verb;
  if (!has_verb(call.def->subresource(name)->verbs, verb)) co_return fail(not_allowed());
  if (verb == "get") co_return co_await get(call);
  if (verb == "create") co_return co_await create(call);
  if (verb == "update") co_return co_await update(call);
  if (verb == "patch") co_return co_await patch(call);
  co_return fail(not_allowed());
}

Task<Result<>> ApiServer::Impl::dispatch_other(Call& call) {
  const auto& segments = call.request().segments;
  std::string first = segments.empty() ? "" : segments[0];
  bool read = call.request().method == "GET" || call.request().method == "HEAD";
  if (first == "moth") co_return co_await own(call);
  if (read) {
    if (first == "livez" || first == "healthz") co_return co_await health(call, options_.liveness);
    if (first == "readyz") co_return co_await health(call, options_.readiness);
    if (first == "openapi") co_return co_await openapi(call);
    if (first == "version" || first == "api" || first == "apis") co_return co_await discovery(call);
    if (options_.tokens && call.info.path == "/.well-known/openid-configuration") {
      co_await send_document(call, "application/json",
                             options_.tokens->openid_configuration(options_.server_url));
      co_return Result<>{};
    }
    if (options_.tokens && call.info.path == "/openid/v1/jwks") {
      co_await send_document(call, "application/jwk-set+json", options_.tokens->key_set());
      co_return Result<>{};
    }
    if (first == "metrics" && options_.metrics) {
      std::string text = co_await call_on(control(), [this] { return options_.metrics(); });
      http::Response response = http::Response::text(200, std::move(text));
      response.headers.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
      co_await call.exchange.send(std::move(response));
      co_return Result<>{};
    }
    if (segments.empty()) {
      Json paths = Json::array({"/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics",
                                "/openapi/v2", "/openapi/v3", "/readyz", "/version"});
      co_await send_json(call, 200, Json{{"paths", std::move(paths)}}.dump());
      co_return Result<>{};
    }
  }
  co_await call.exchange.send(http::Response::text(404, "404 page not found\n"));
  co_return Result<>{};
}

// What anybody may keep for an hour.
Task<void> ApiServer::Impl::send_document(Call& call, std::string type, std::string body) {
  http::Response response = http::Response::json(200, std::move(body));
  response.headers.set("Content-Type", std::move(type));
  response.headers.set("Cache-Control", "public, max-age=3600");
  co_await call.exchange.send(std::move(response));
}

Task<void> ApiServer::Impl::send_json(Call& call, int status, std::string body) {
  http::Response response = http::Response::json(status, std::move(body));
  for (const std::string& text : call.context.warnings) {
    response.headers.add("Warning",
                         "299 - " + Json(text).dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  co_await call.exchange.send(std::move(response));
}

client::NodeApi* ApiServer::Impl::node() {
  return node_;
}

}  // namespace moth::server
