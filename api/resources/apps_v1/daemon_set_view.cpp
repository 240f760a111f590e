#include "api/resources/apps_v1/daemon_set_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

DaemonSetView::DaemonSetView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  selector = selector_at(spec, "selector");
  const Json& strategy = object_of(spec, "updateStrategy");
  on_delete = string_or(strategy, "type") == "OnDelete";
  const Json& rolling = object_of(strategy, "rollingUpdate");
  max_unavailable = int_or_string(rolling, "maxUnavailable", max_unavailable);
  max_surge = int_or_string(rolling, "maxSurge", max_surge);
  min_ready = seconds_or(spec, "minReadySeconds", 0);
  revision_history_limit = int32_or(spec, "revisionHistoryLimit", revision_history_limit);

  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.desired = int32_or(json, "desiredNumberScheduled");
  status.current = int32_or(json, "currentNumberScheduled");
  status.misscheduled = int32_or(json, "numberMisscheduled");
  status.ready = int32_or(json, "numberReady");
  status.updated = int32_or(json, "updatedNumberScheduled");
  status.available = int32_or(json, "numberAvailable");
  status.unavailable = int32_or(json, "numberUnavailable");
  if (auto count = optional_int(json, "collisionCount")) {
    status.collision_count = static_cast<std::int32_t>(*count);
  }
  status.conditions = parse_conditions(items(json, "conditions"));
}

}  // namespace moth::resources
