#include "daemon/local_client.h"

#include <cstdlib>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/server/selection.h"

namespace moth {

LocalReader::LocalReader(const resources::Registry& registry, server::Storage& storage)
    : registry_(registry), storage_(storage) {}

const resources::ResourceDef* LocalReader::def(const Gvr& gvr) const {
  const resources::ResourceDef* found = registry_.find(gvr);
  return found ? found->storage_def : nullptr;
}

ObjectPtr LocalReader::get(const Gvr& gvr, std::string_view ns, std::string_view name) const {
  const resources::ResourceDef* row = def(gvr);
  return row ? storage_.get(*row, ns, name) : nullptr;
}

std::vector<ObjectPtr> LocalReader::list(const Gvr& gvr, std::string_view ns) const {
  const resources::ResourceDef* row = def(gvr);
  return row ? storage_.list(*row, ns).objects : std::vector<ObjectPtr>{};
}

void LocalReader::subscribe(const Gvr& gvr, Listener listener) {
  const resources::ResourceDef* row = def(gvr);
  if (!row) {
    log::error("a reader subscribed to an unregistered resource",
               log::field("resource", gvr.qualified()));
    std::abort();
  }
  storage_.subscribe(*row, [listener = std::move(listener)](const server::StoreEvent& event) {
    bool deleted = event.type == server::EventType::kDeleted;
    listener({deleted ? nullptr : event.object,
              deleted && !event.previous ? event.object : event.previous});
  });
}

namespace {

// Upstream's programs, since clients tell controllers' fields from users' by these names.
std::string manager_of(const std::string& user) {
  if (user.starts_with("system:node:")) return "kubelet";
  std::string part = user.substr(user.rfind(':') + 1);
  if (part == "scheduler" || part == "default-scheduler") return "kube-scheduler";
  return user.starts_with("system:serviceaccount:") ? "kube-controller-manager" : part;
}

}  // namespace

LocalClient::LocalClient(server::Pipeline& pipeline, std::string user)
    : pipeline_(pipeline), user_(std::move(user)), manager_(manager_of(user_)) {}

Result<server::Target> LocalClient::target(const Gvr& gvr, std::string ns, std::string name,
                                           std::string subresource) const {
  const resources::ResourceDef* def = pipeline_.registry().find(gvr);
  if (!def)
    return fail(Error::of(Reason::kNotFound, "the server could not find the requested resource"));
  return server::Target{def, std::move(ns), std::move(name), std::move(subresource)};
}

server::RequestContext LocalClient::context(const client::WriteOptions& options) const {
  server::RequestContext context;
  context.user = {user_, "", {"system:masters", "system:authenticated"}};
  context.user_agent = manager_;
  context.field_manager = options.field_manager;
  context.field_validation = options.field_validation;
  context.dry_run = options.dry_run;
  context.force = options.force;
  return context;
}

Task<Result<ObjectPtr>> LocalClient::get(Gvr gvr, std::string ns, std::string name,
                                         std::string subresource) {
  MOTH_CO_ASSIGN(server::Target where,
                 target(gvr, std::move(ns), std::move(name), std::move(subresource)));
  co_return pipeline_.get(where);
}

Task<Result<client::ObjectList>> LocalClient::list(Gvr gvr, std::string ns,
                                                   client::ListOptions options) {
  MOTH_CO_ASSIGN(server::Target where, target(gvr, std::move(ns), "", ""));
  MOTH_CO_ASSIGN(
      server::Selection selection,
      server::Selection::parse(*where.def, options.label_selector, options.field_selector));
  server::ListResult listed = pipeline_.list(where);
  client::ObjectList result;
  result.resource_version = listed.revision;
  for (const ObjectPtr& object : listed.objects) {
    if (selection.matches(*object)) result.items.push_back(server::to_version(*where.def, object));
  }
  co_return result;
}

Task<Result<std::unique_ptr<client::WatchStream>>> LocalClient::watch(Gvr, std::string,
                                                                      client::ListOptions) {
  co_return fail(
      Error::of(Reason::kMethodNotAllowed, "inside the daemon, subscribe to the reader instead"));
}

Task<Result<ObjectPtr>> LocalClient::create(Gvr gvr, std::string ns, Json object,
                                            client::WriteOptions options, std::string name) {
  MOTH_CO_ASSIGN(server::Target where,
                 target(gvr, std::move(ns), std::move(name), options.subresource));
  server::RequestContext who = context(options);
  if (where.subresource == "binding") {
    const Json* node = find_path(object, "target", "name");
    if (!node || !node->is_string())
      co_return fail(Error::bad_request("target.name: Required value"));
    where.subresource.clear();
    auto bound = co_await pipeline_.bind(std::move(where), node->get<std::string>(), who);
    if (!bound) co_return fail(bound.error());
    co_return bound->object;
  }
  if (where.subresource == "eviction") {
    MOTH_CO_TRY(co_await pipeline_.evict(std::move(where), std::move(object), who));
    co_return ObjectPtr();
  }
  auto written = co_await pipeline_.create(std::move(where), std::move(object), who);
  if (!written) co_return fail(written.error());
  co_return written->object;
}

Task<Result<ObjectPtr>> LocalClient::update(Gvr gvr, std::string ns, std::string name, Json object,
                                            client::WriteOptions options) {
  MOTH_CO_ASSIGN(server::Target where,
                 target(gvr, std::move(ns), std::move(name), options.subresource));
  server::RequestContext who = context(options);
  auto written = co_await pipeline_.update(std::move(where), std::move(object), who);
  if (!written) co_return fail(written.error());
  co_return written->object;
}

Task<Result<ObjectPtr>> LocalClient::patch(Gvr gvr, std::string ns, std::string name,
                                           client::PatchType type, Json patch,
                                           client::WriteOptions options) {
  MOTH_CO_ASSIGN(server::Target where,
                 target(gvr, std::move(ns), std::move(name), options.subresource));
  server::RequestContext who = context(options);
  auto written = co_await pipeline_.patch(std::move(where), type, std::move(patch), who);
  if (!written) co_return fail(written.error());
  co_return written->object;
}

Task<Result<ObjectPtr>> LocalClient::remove(Gvr gvr, std::string ns, std::string name,
                                            client::DeleteOptions options) {
  MOTH_CO_ASSIGN(server::Target where, target(gvr, std::move(ns), std::move(name), ""));
  server::RequestContext who = context({});
  auto removed = co_await pipeline_.remove(std::move(where), std::move(options), who);
  if (!removed) co_return fail(removed.error());
  co_return removed->removed ? nullptr : removed->object;
}

}  // namespace moth
