// The one list of built-in kinds, in the order of discovery: groups as upstream orders them, kinds
// by name.
#include "api/resources/admissionregistration_v1/rows.h"
#include "api/resources/apiextensions_v1/rows.h"
#include "api/resources/apiregistration_v1/rows.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/authentication_v1/rows.h"
#include "api/resources/authorization_v1/rows.h"
#include "api/resources/autoscaling_v2/rows.h"
#include "api/resources/batch_v1/rows.h"
#include "api/resources/certificates_v1/rows.h"
#include "api/resources/coordination_v1/rows.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/discovery_v1/rows.h"
#include "api/resources/events_v1/rows.h"
#include "api/resources/flowcontrol_v1/rows.h"
#include "api/resources/metrics_v1beta1/rows.h"
#include "api/resources/networking_v1/rows.h"
#include "api/resources/node_v1/rows.h"
#include "api/resources/policy_v1/rows.h"
#include "api/resources/rbac_v1/rows.h"
#include "api/resources/registry.h"
#include "api/resources/resource_v1/rows.h"
#include "api/resources/scheduling_v1/rows.h"
#include "api/resources/storage_v1/rows.h"

namespace moth::resources {

Result<std::unique_ptr<Registry>> make_registry() {
  using MakeRow = ResourceDef (*)();
  static constexpr MakeRow kRows[] = {
      bindings, component_statuses, config_maps, endpoints, events, limit_ranges, namespaces, nodes,
      persistent_volume_claims, persistent_volumes, pods, pod_templates, replication_controllers,
      resource_quotas, secrets, service_accounts, services,
      //
      api_services,
      //
      controller_revisions, daemon_sets, deployments, replica_sets, stateful_sets,
      //
      events_v1_events,
      //
      self_subject_reviews, token_reviews,
      //
      local_subject_access_reviews, self_subject_access_reviews, self_subject_rules_reviews,
      subject_access_reviews,
      //
      horizontal_pod_autoscalers, horizontal_pod_autoscalers_v1,
      //
      cron_jobs, jobs,
      //
      certificate_signing_requests,
      //
      ingress_classes, ingresses, ip_addresses, network_policies, service_cidrs,
      //
      pod_disruption_budgets,
      //
      cluster_role_bindings, cluster_roles, role_bindings, roles,
      //
      csi_drivers, csi_nodes, csi_storage_capacities, storage_classes, volume_attachments,
      volume_attributes_classes,
      //
      mutating_admission_policies, mutating_admission_policy_bindings,
      mutating_webhook_configurations, validating_admission_policies,
      validating_admission_policy_bindings, validating_webhook_configurations,
      //
      custom_resource_definitions,
      //
      priority_classes,
      //
      leases,
      //
      runtime_classes,
      //
      endpoint_slices,
      //
      device_classes, resource_claim_templates, resource_claims, resource_slices,
      //
      flow_schemas, priority_level_configurations,
      //
      node_metrics, pod_metrics};
  auto registry = std::make_unique<Registry>();
  for (MakeRow make : kRows) MOTH_TRY(registry->add(make()));
  MOTH_TRY(registry->seal());
  return registry;
}

}  // namespace moth::resources
