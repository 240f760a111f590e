#pragma once
// The status of a Deployment: counts, conditions, progress and its deadline (k8s-behaviours 13.3).
// Pure functions on the control thread (they read typed views).
#include <optional>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/resources/apps_v1/deployment_view.h"
#include "api/resources/apps_v1/replica_set_view.h"

namespace moth::controllers {

using DeploymentStatus = resources::DeploymentView::Status;

// Sets a condition and moves it to the end; nothing happens when status and reason stay, so that
// the times tell when they changed.
void put_condition(DeploymentStatus& status, resources::Condition condition, WallTime now);
void drop_condition(DeploymentStatus& status, std::string_view type);

struct SetCounts {
  const resources::ReplicaSetView* set = nullptr;
  std::int32_t spec_replicas = 0;
};

// The counts of `sets`, and Available. Conditions and collision count come from `current`;
// `new_set` is null while there is none.
DeploymentStatus count_replicas(const resources::DeploymentView& deployment,
                                const DeploymentStatus& current, const std::vector<SetCounts>& sets,
                                const resources::ReplicaSetView* new_set, WallTime now);

// Completes a counted status by Progressing and ReplicaFailure. `current` is the status before
// counting, its counts those of the last reconcile.
void judge_progress(const resources::DeploymentView& deployment, const DeploymentStatus& current,
                    const std::vector<SetCounts>& sets, const resources::ReplicaSetView* new_set,
                    DeploymentStatus& next, WallTime now);

bool is_complete(const resources::DeploymentView& deployment, const DeploymentStatus& status);

// When the progress deadline will have passed if nothing happens.
std::optional<Duration> until_deadline(const resources::DeploymentView& deployment,
                                       const DeploymentStatus& status, WallTime now);

Json status_json(const DeploymentStatus& status);

}  // namespace moth::controllers
