#include "ctl/describe/describe.h"

#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

using Describer = void (*)(DescribeWriter&, Api&, const Json&);

struct Row {
  const char* group;
  const char* kind;
  Describer describe;
  bool events = true;
};

constexpr Row kRows[] = {
    {"", "Pod", describe_pod},
    {"apps", "Deployment", describe_deployment},
    {"apps", "ReplicaSet", describe_replica_set},
    {"apps", "StatefulSet", describe_stateful_set},
    {"apps", "DaemonSet", describe_daemon_set},
    {"", "Service", describe_service},
    {"", "Node", describe_node},
    {"autoscaling", "HorizontalPodAutoscaler", describe_autoscaler},
    {"", "ConfigMap", describe_config_map},
    {"", "Secret", describe_secret, false},
    {"", "Namespace", describe_namespace, false},
    {"", "ServiceAccount", describe_service_account},
    {"", "ReplicationController", describe_replication_controller},
    {"", "PersistentVolume", describe_persistent_volume},
    {"", "PersistentVolumeClaim", describe_persistent_volume_claim},
    {"", "ResourceQuota", describe_resource_quota, false},
    {"", "LimitRange", describe_limit_range, false},
    {"", "Endpoints", describe_endpoints},
    {"batch", "Job", describe_job},
    {"batch", "CronJob", describe_cron_job},
    {"discovery.k8s.io", "EndpointSlice", describe_endpoint_slice},
    {"networking.k8s.io", "Ingress", describe_ingress},
    {"networking.k8s.io", "IngressClass", describe_ingress_class},
    {"networking.k8s.io", "NetworkPolicy", describe_network_policy, false},
    {"policy", "PodDisruptionBudget", describe_disruption_budget},
    {"rbac.authorization.k8s.io", "Role", describe_cluster_role, false},
    {"rbac.authorization.k8s.io", "ClusterRole", describe_cluster_role, false},
    {"rbac.authorization.k8s.io", "RoleBinding", describe_role_binding, false},
    {"rbac.authorization.k8s.io", "ClusterRoleBinding", describe_role_binding, false},
    {"scheduling.k8s.io", "PriorityClass", describe_priority_class},
    {"storage.k8s.io", "StorageClass", describe_storage_class},
    {"certificates.k8s.io", "CertificateSigningRequest", describe_certificate_request},
};

const Row* row_of(const ApiResource& resource) {
  for (const Row& row : kRows) {
    if (resource.group == row.group && resource.kind == row.kind) return &row;
  }
  return nullptr;
}

Json events_of(Api& api, const Json& object) {
  auto events = api.resource("events");
  if (!events) return Json::object();
  std::string selector = "involvedObject.name=" + text_at(object, "metadata", "name");
  std::string ns = text_at(object, "metadata", "namespace");
  // Events of a node carry its name as their uid.
  bool is_node = string_or(object, "kind") == "Node";
  if (is_node)
    selector += ",involvedObject.kind=Node";
  else
    selector += ",involvedObject.uid=" + text_at(object, "metadata", "uid");
  if (!ns.empty()) selector += ",involvedObject.namespace=" + ns;
  auto list = api.list(**events, ns, {{"fieldSelector", selector}});
  return list ? *std::move(list) : Json::object();
}

}  // namespace

std::string describe_object(Api& api, const ApiResource& resource, const Json& object,
                            bool with_events) {
  DescribeWriter out;
  const Row* row = row_of(resource);
  (row ? row->describe : describe_anything)(out, api, object);
  if (with_events && (!row || row->events)) write_events(out, events_of(api, object));
  return out.finish();
}

}  // namespace moth::ctl
