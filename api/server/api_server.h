#pragma once
// ApiServer: HTTP requests to the pipeline. Its handler runs on the io executor, hops to control
// for every read and write of state, and renders answers on io again.
#include <functional>
#include <memory>
#include <string>

#include "api/base/build_info.h"
#include "api/base/executors.h"
#include "api/client/node_api.h"
#include "api/http/server.h"
#include "api/server/auth/authenticator.h"
#include "api/server/auth/authorizer.h"
#include "api/server/auth/service_account_tokens.h"
#include "api/server/pipeline.h"

namespace moth::server {

struct HealthCheck {
  std::string name;
  // Empty when healthy, else why not. Called on control.
  std::function<std::string()> check;
};

// The next piece of a copy, empty at its end. Blocking.
using PieceReader = std::function<Result<std::string>()>;

struct ApiServerOptions {
  std::string version;  // what /version answers as gitVersion, e.g. v1.36.0+moth.0.1.0
  BuildInfo build;      // what /version answers besides
  Authenticator authenticator{{}};
  // Shared with whoever publishes the policy to it. Never null.
  std::shared_ptr<Authorizer> authorizer = std::make_shared<Authorizer>();
  // Null: no tokens of service accounts, and neither of the two documents of OpenID Connect.
  std::shared_ptr<ServiceAccountTokens> tokens;
  std::string server_url;  // under which clients reach this server, for OpenID Connect
  std::vector<HealthCheck> liveness, readiness;
  // Prometheus text for /metrics; called on control.
  std::function<std::string()> metrics;
  // Makes a consistent copy of the store, for GET /moth/v1/backup; called on control. Unset: 404.
  std::function<Task<Result<PieceReader>>()> backup;
  // Converts objects of custom resources by their webhook (webhooks/conversion.h, make_converter);
  // called on control. Unset: such requests answer 503.
  std::function<Task<Result<std::vector<Json>>>(const resources::ResourceDef& to,
                                                std::vector<Json> objects)>
      convert;
  std::size_t max_list_snapshots = 64;  // paged lists kept for their next pages
};

// For http::ServerOptions::stream_body: requests whose body passes through in pieces.
bool streams_request_body(const http::Request& request);

class ApiServer {
 public:
  // `node` may be null: log, exec, metrics and image calls then answer 503.
  ApiServer(Executors& executors, Pipeline& pipeline, client::NodeApi* node,
            ApiServerOptions options);
  ~ApiServer();
  // Answers one request. io.
  Task<void> handle(http::Exchange& exchange);
  // Once no request comes any more: ends the work that outlived its request and waits for it.
  // Control.
  Task<void> stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moth::server
