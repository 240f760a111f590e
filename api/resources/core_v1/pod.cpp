#include <algorithm>
#include <array>

#include "api/base/json.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_printing.h"
#include "api/resources/core_v1/pod_subresources.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void prepare_create(Json& pod) {
  Json& status = pod["status"] = Json::object();
  status["phase"] = "Pending";
  status["qosClass"] = qos_class(object_of(pod, "spec"));
  if (items(object_of(pod, "spec"), "schedulingGates").empty()) return;
  // Shown before the scheduler has looked at the pod.
  status["conditions"] = Json::array({{{"type", "PodScheduled"},
                                       {"status", "False"},
                                       {"reason", "SchedulingGated"},
                                       {"message",
                                        "Scheduling is blocked due to non-empty "
                                        "scheduling gates"}}});
}

std::string field(const Json& pod, std::string_view path) {
  static constexpr std::array<std::string_view, 5> kSpecTexts = {
      "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
      "spec.hostNetwork"};
  const Json& spec = object_of(pod, "spec");
  if (path == "spec.hostNetwork") return bool_or(spec, "hostNetwork") ? "true" : "false";
  auto dot = path.find('.');
  std::string_view key = path.substr(dot + 1);
  bool in_spec = std::find(kSpecTexts.begin(), kSpecTexts.end(), path) != kSpecTexts.end();
  return string_or(in_spec ? spec : object_of(pod, "status"), key);
}

}  // namespace

ResourceDef pods() {
  ResourceDef row = row_of("", "v1", "pods", "pod", "Pod", "core.v1.Pod");
  row.short_names = {"po"};
  row.categories = {"all"};
  const unsigned kStream = kGet | kCreate;
  row.subresources = {{"attach", {"", "v1", "PodAttachOptions"}, kStream},
                      {"binding", {"", "v1", "Binding"}, kCreate},
                      {"ephemeralcontainers", row.gvk(), kGet | kUpdate | kPatch,
                       take_ephemeral_containers, validate_ephemeral_containers},
                      {"eviction", {"policy", "v1", "Eviction"}, kCreate},
                      {"exec", {"", "v1", "PodExecOptions"}, kStream},
                      {"log", row.gvk(), kGet},
                      {"portforward", {"", "v1", "PodPortForwardOptions"}, kStream},
                      {"proxy", {"", "v1", "PodProxyOptions"}, kProxyVerbs},
                      {"resize", row.gvk(), kGet | kUpdate | kPatch, take_resize, validate_resize},
                      own_subresource(row, "status")};
  row.graceful_delete = true;
  row.has_generation = true;
  row.set_defaults = set_pod_defaults;
  row.prepare_create = prepare_create;
  row.validate = validate_pod;
  row.validate_update = validate_pod_update;
  row.warnings = pod_warnings;
  row.warn_on_update = false;
  row.selectable_fields = {
      "spec.nodeName",    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
      "spec.hostNetwork", "status.phase",       "status.podIP",       "status.nominatedNodeName"};
  row.field = field;
  row.columns = pod_columns();
  row.row = pod_row;
  row.row_conditions = pod_row_conditions;
  return row;
}

}  // namespace moth::resources
