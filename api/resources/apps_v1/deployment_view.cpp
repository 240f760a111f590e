#include "api/resources/apps_v1/deployment_view.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

DeploymentView::DeploymentView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  replicas = int32_or(spec, "replicas", 1);
  selector = selector_at(spec, "selector");
  const Json& strategy = object_of(spec, "strategy");
  recreate = string_or(strategy, "type") == "Recreate";
  const Json& rolling = object_of(strategy, "rollingUpdate");
  max_surge = int_or_string(rolling, "maxSurge", max_surge);
  max_unavailable = int_or_string(rolling, "maxUnavailable", max_unavailable);
  min_ready = seconds_or(spec, "minReadySeconds", 0);
  revision_history_limit = int32_or(spec, "revisionHistoryLimit", 10);
  if (auto deadline = optional_int(spec, "progressDeadlineSeconds");
      deadline && *deadline != std::numeric_limits<std::int32_t>::max()) {
    progress_deadline = std::chrono::seconds(*deadline);
  }
  paused = bool_or(spec, "paused");

  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.replicas = int32_or(json, "replicas");
  status.updated = int32_or(json, "updatedReplicas");
  status.ready = int32_or(json, "readyReplicas");
  status.available = int32_or(json, "availableReplicas");
  status.unavailable = int32_or(json, "unavailableReplicas");
  if (auto count = optional_int(json, "terminatingReplicas")) {
    status.terminating = static_cast<std::int32_t>(*count);
  }
  if (auto count = optional_int(json, "collisionCount")) {
    status.collision_count = static_cast<std::int32_t>(*count);
  }
  status.conditions = parse_conditions(items(json, "conditions"));
}

const Condition* DeploymentView::condition(std::string_view type) const {
  return find_condition(status.conditions, type);
}

std::int64_t DeploymentView::revision() const {
  return std::strtoll(meta_->annotation("deployment.kubernetes.io/revision").c_str(), nullptr, 10);
}

std::int32_t DeploymentView::max_surge_count() const {
  if (recreate) return 0;
  return max_surge.scaled(replicas, true).value_or(0);
}

std::int32_t DeploymentView::max_unavailable_count() const {
  if (recreate || replicas == 0) return 0;
  std::int32_t count = max_unavailable.scaled(replicas, false).value_or(0);
  if (count == 0 && max_surge_count() == 0) count = 1;
  return std::min(count, replicas);
}

}  // namespace moth::resources
