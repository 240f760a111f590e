#include "daemon/rbac_bootstrap.h"

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/task_scope.h"
#include "api/server/auth/bootstrap_policy.h"

namespace moth {
namespace {

struct Work {
  const client::ObjectReader& reader;
  client::ObjectClient& client;
  Result<> outcome{};

  Task<void> ensure(Gvr gvr, std::string ns, Json wanted) {
    auto done = co_await apply(std::move(gvr), std::move(ns), std::move(wanted));
    if (!done && outcome) outcome = std::move(done);
  }

 private:
  Task<Result<>> apply(Gvr gvr, std::string ns, Json wanted) {
    std::string name = wanted.at("metadata").at("name").get<std::string>();
    ObjectPtr present = reader.get(gvr, ns, name);
    if (present) {
      auto repair = server::repair_policy_object(present->parse(), wanted);
      if (!repair.object) co_return Result<>{};
      log::info("repairing a default role or binding", log::field("resource", gvr.qualified()),
                log::field("name", name));
      if (!repair.recreate) {
        auto written = co_await client.update(gvr, ns, name, std::move(*repair.object));
        if (!written) co_return fail(written.error().with_context(gvr.qualified() + " " + name));
        co_return Result<>{};
      }
      auto removed = co_await client.remove(gvr, ns, name);
      if (!removed) co_return fail(removed.error().with_context(gvr.qualified() + " " + name));
    }
    auto made = co_await client.create(gvr, ns, std::move(wanted));
    if (!made && made.error().reason != Reason::kAlreadyExists)
      co_return fail(made.error().with_context(gvr.qualified() + " " + name));
    co_return Result<>{};
  }
};

}  // namespace

Task<Result<>> bootstrap_rbac(asio::any_io_executor control, const client::ObjectReader& reader,
                              client::ObjectClient& client) {
  const std::string group = "rbac.authorization.k8s.io";
  server::BootstrapPolicy policy = server::bootstrap_policy();
  Work work{reader, client};
  TaskScope scope(control);
  auto spawn = [&](const char* resource, std::vector<Json>& objects) {
    for (Json& object : objects) {
      const Json* ns = find_path(object, "metadata", "namespace");
      scope.spawn("default role",
                  work.ensure({group, "v1", resource}, ns ? ns->get<std::string>() : std::string(),
                              std::move(object)));
    }
  };
  spawn("clusterroles", policy.cluster_roles);
  spawn("roles", policy.roles);
  co_await scope.join();
  if (!work.outcome) co_return work.outcome;
  spawn("clusterrolebindings", policy.cluster_role_bindings);
  spawn("rolebindings", policy.role_bindings);
  co_await scope.join();
  co_return work.outcome;
}

}  // namespace moth
