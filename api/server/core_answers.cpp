#include "api/server/core_answers.h"

#include "api/base/json.h"
#include "api/resources/core_v1/rows.h"

namespace moth::server {
namespace {

Task<Result<Json>> bind_pod(Pipeline& pipeline, Target target, Json binding,
                            RequestContext& context) {
  const Json* node = find_path(binding, "target", "name");
  if (!node || !node->is_string() || node->get_ref<const std::string&>().empty()) {
    co_return fail(Error::bad_request("target.name: Required value: the node to bind to"));
  }
  const Json* pod = find_path(binding, "metadata", "name");
  if (!pod || !pod->is_string() || pod->get_ref<const std::string&>().empty()) {
    co_return fail(Error::bad_request("metadata.name: Required value: the pod to bind"));
  }
  Target wanted{pipeline.registry().find("", "v1", "pods"), target.ns, pod->get<std::string>(),
                "binding"};
  auto bound = co_await pipeline.bind(std::move(wanted), node->get<std::string>(), context);
  if (!bound) co_return fail(bound.error());
  co_return Json{{"kind", "Status"},
                 {"apiVersion", "v1"},
                 {"metadata", Json::object()},
                 {"status", "Success"},
                 {"code", 201}};
}

ObjectPtr component(const char* name, const std::string& failure) {
  Json condition = {{"type", "Healthy"}, {"status", failure.empty() ? "True" : "False"}};
  condition[failure.empty() ? "message" : "error"] = failure.empty() ? "ok" : failure;
  return Object::from_json({{"kind", "ComponentStatus"},
                            {"apiVersion", "v1"},
                            {"metadata", {{"name", name}}},
                            {"conditions", Json::array({std::move(condition)})}});
}

}  // namespace

void answer_core_kinds(Pipeline& pipeline, std::function<std::string()> store_failure) {
  pipeline.compute_on_create("bindings", resources::bindings(),
                             [&pipeline](Target target, Json binding, RequestContext& context) {
                               return bind_pod(pipeline, std::move(target), std::move(binding),
                                               context);
                             });
  // Controllers and scheduler are parts of the process that answers.
  pipeline.compute_on_read("componentstatuses", [failure = std::move(store_failure)] {
    return std::vector<ObjectPtr>{component("controller-manager", ""),
                                  component("etcd-0", failure()), component("scheduler", "")};
  });
}

}  // namespace moth::server
