#include "api/resources/apps_v1/stateful_set_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

StatefulSetView::StatefulSetView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  replicas = int32_or(spec, "replicas", 1);
  first_ordinal = int32_or(object_of(spec, "ordinals"), "start");
  selector = selector_at(spec, "selector");
  service_name = string_or(spec, "serviceName");
  parallel = string_or(spec, "podManagementPolicy") == "Parallel";
  const Json& strategy = object_of(spec, "updateStrategy");
  on_delete = string_or(strategy, "type") == "OnDelete";
  const Json& rolling = object_of(strategy, "rollingUpdate");
  partition = int32_or(rolling, "partition");
  if (has(rolling, "maxUnavailable")) {
    max_unavailable = int_or_string(rolling, "maxUnavailable", IntOrString::of(1));
  }
  min_ready = seconds_or(spec, "minReadySeconds", 0);
  revision_history_limit = int32_or(spec, "revisionHistoryLimit", revision_history_limit);
  const Json& retention = object_of(spec, "persistentVolumeClaimRetentionPolicy");
  delete_claims_with_set = string_or(retention, "whenDeleted") == "Delete";
  delete_claims_on_scale_down = string_or(retention, "whenScaled") == "Delete";

  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.replicas = int32_or(json, "replicas");
  status.ready = int32_or(json, "readyReplicas");
  status.current = int32_or(json, "currentReplicas");
  status.updated = int32_or(json, "updatedReplicas");
  status.available = int32_or(json, "availableReplicas");
  status.current_revision = string_or(json, "currentRevision");
  status.update_revision = string_or(json, "updateRevision");
  if (auto count = optional_int(json, "collisionCount")) {
    status.collision_count = static_cast<std::int32_t>(*count);
  }
  status.conditions = parse_conditions(items(json, "conditions"));
}

}  // namespace moth::resources
