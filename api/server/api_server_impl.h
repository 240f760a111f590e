#pragma once
// The inside of ApiServer, shared by its handler files. io executor.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/http/client.h"
#include "api/server/api_server.h"
#include "api/server/list_snapshots.h"
#include "api/server/negotiation.h"
#include "api/server/openapi.h"
#include "api/server/openapi_v2.h"
#include "api/server/request_info.h"
#include "api/server/selection.h"
#include "api/server/streams/proxy.h"
#include "api/server/table.h"

namespace moth::server {

// One request on its way through the handlers.
struct Call {
  http::Exchange& exchange;
  RequestInfo info;
  RequestContext context;
  const resources::ResourceDef* def = nullptr;  // for resource requests
  resources::Registry::SnapshotPtr rows;        // keeps `def` valid
  Target target;

  const http::Request& request() const { return exchange.request(); }
};

class ApiServer::Impl {
 public:
  Impl(Executors& executors, Pipeline& pipeline, client::NodeApi* node, ApiServerOptions options);

  Task<void> handle(http::Exchange& exchange);
  Task<void> stop();

 private:
  static Error not_allowed();
  Task<Result<UserInfo>> identify(const http::Request& request);
  Task<Result<>> dispatch(Call& call);
  Task<Result<>> dispatch_resource(Call& call);
  Task<Result<>> dispatch_subresource(Call& call);
  Task<Result<>> dispatch_other(Call& call);

  // read_handlers.cpp
  Task<Result<>> get(Call& call);
  Task<Result<>> list(Call& call);
  Task<Result<>> wait_for_revision(std::uint64_t wanted);
  Task<Result<>> send_list(Call& call, Form form, ListPage page);
  // watch_handler.cpp
  Task<Result<>> watch(Call& call);
  // write_handlers.cpp
  Task<Result<>> create(Call& call);
  void note_right_to_create(Call& call) const;
  Task<Result<>> update(Call& call);
  Task<Result<>> patch(Call& call);
  Task<Result<>> remove(Call& call);
  Task<Result<>> remove_collection(Call& call);
  Task<Result<>> bind_pod(Call& call, Json binding);
  Task<Result<>> evict_pod(Call& call, Json eviction);
  // converted_handlers.cpp
  bool converts(const resources::ResourceDef& def) const;
  Task<bool> writes_converted(const Call& call);
  Target stored_target(const Call& call) const;  // what the pipeline works on
  Task<Result<std::vector<Json>>> convert(const resources::ResourceDef& to,
                                          std::vector<Json> objects);
  // Stored objects into the version of `def`.
  Task<Result<>> convert_all(const resources::ResourceDef& def, std::vector<ObjectPtr>& objects);
  Task<Result<ObjectPtr>> shown(const Call& call, ObjectPtr stored);
  Task<Result<Json>> to_stored(Call& call, Json object, const Json* old);
  Task<Result<Json>> newest(const Call& call);
  Task<Result<WriteResult>> update_converted(Call& call, Json object);
  Task<Result<WriteResult>> patch_converted(Call& call, client::PatchType type, Json patch);
  // log_handler.cpp
  Task<Result<>> log(Call& call);
  // stream_handlers.cpp
  static Error no_node();
  Task<Result<>> exec(Call& call, bool attach);
  Task<Result<>> port_forward(Call& call);
  // proxy_handlers.cpp
  Task<Result<>> proxy(Call& call);
  Task<Result<>> proxy_upgrade(Call& call, http::ClientRequest onward);
  Task<Result<>> proxy_request(Call& call, http::ClientRequest onward, streams::ProxyPath path,
                               std::string host);
  Result<std::string> proxy_backend(const Call& call);
  http::Client& proxy_client();
  // node_endpoints.cpp
  Task<Result<>> node_endpoint(Call& call, std::string name, std::string port);
  Task<std::string> node_pods(std::string name, bool running);
  Task<Result<>> node_container_logs(Call& call, std::string node);
  // other_handlers.cpp
  Task<Result<>> discovery(Call& call);
  Task<Result<>> openapi(Call& call);
  Task<Result<>> openapi_v2(Call& call);  // openapi_v2_handler.cpp
  Task<Result<>> health(Call& call, const std::vector<HealthCheck>& checks);
  Task<Result<>> metrics_api(Call& call);
  // own_handlers.cpp
  Task<Result<>> own(Call& call);
  Task<Result<>> backup(Call& call);
  Task<Result<>> images(Call& call);
  struct ImageJob;
  Task<Result<>> stream_image_work(http::StreamWriter& out, std::string action, Json request);
  Task<void> do_image_work(std::shared_ptr<ImageJob> job, std::string action, Json request);

  Task<void> send_document(Call& call, std::string type, std::string body);
  Task<void> send_json(Call& call, int status, std::string body);
  Task<Result<>> send_object(Call& call, int status, ObjectPtr object);
  client::NodeApi* node();
  asio::any_io_executor control() const { return executors_.control(); }
  // Whether requests of `def` would still find it, with the same schema. Any thread.
  bool still_served(const resources::ResourceDef& def) const;
  // Returns when they would not. Control.
  Task<void> row_gone(const resources::ResourceDef& def);
  // What the cursor brings; nothing when the row goes first. Control.
  Task<Result<std::vector<StoreEvent>>> next_or_gone(StoreWatch& cursor, MonoTime until,
                                                     const resources::ResourceDef& def);
  std::string object_text(const Call& call, Form form, const ObjectPtr& object, bool first) const;
  IncludeObject include_of(const Call& call) const;

  Executors& executors_;
  Pipeline& pipeline_;
  client::NodeApi* node_;
  ApiServerOptions options_;
  ListSnapshots snapshots_;
  OpenApi openapi_;
  OpenApiV2 openapi_v2_;
  std::shared_ptr<Notifier> rows_changed_;    // control: of the registry
  std::optional<http::Client> proxy_client_;  // made at the first use
  std::uint64_t proxied_ = 0;                 // control: endpoints take turns
  TaskScope image_jobs_;                      // control: they go on when their client goes
};

}  // namespace moth::server
