#include "daemon/controllers/deployment/deployment_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth::controllers {

using resources::Condition;
using resources::DeploymentView;
using resources::ReplicaSetView;

namespace {

const Condition* find(const DeploymentStatus& status, std::string_view type) {
  return resources::find_condition(status.conditions, type);
}

// The ReplicaFailure of the new set, else of any.
std::optional<Condition> replica_failure(const std::vector<SetCounts>& sets,
                                         const ReplicaSetView* new_set) {
  auto of = [](const ReplicaSetView& set) {
    return resources::find_condition(set.status.conditions, "ReplicaFailure");
  };
  const Condition* found = new_set ? of(*new_set) : nullptr;
  for (auto it = sets.begin(); !found && it != sets.end(); ++it) found = of(*it->set);
  if (!found) return std::nullopt;
  Condition out = *found;
  out.last_update = out.last_transition;
  return out;
}

bool has_moved(const DeploymentStatus& before, const DeploymentStatus& next) {
  return next.updated > before.updated ||
         next.replicas - next.updated < before.replicas - before.updated ||
         next.ready > before.ready || next.available > before.available;
}

bool has_timed_out(const DeploymentView& deployment, const DeploymentStatus& status, WallTime now) {
  const Condition* progress = find(status, "Progressing");
  if (!progress || progress->reason == "NewReplicaSetAvailable") return false;
  if (progress->reason == "ProgressDeadlineExceeded") return true;
  return progress->last_update && *progress->last_update + *deployment.progress_deadline < now;
}

// "ReplicaSet "x" is progressing.", or of the Deployment while there is no new set.
std::string about(const DeploymentView& deployment, const ReplicaSetView* new_set,
                  std::string_view what) {
  return new_set ? fmt::format("ReplicaSet \"{}\" {}", new_set->meta().name, what)
                 : fmt::format("Deployment \"{}\" {}", deployment.meta().name, what);
}

void judge_rollout(const DeploymentView& deployment, const DeploymentStatus& current,
                   const ReplicaSetView* new_set, DeploymentStatus& next, WallTime now) {
  const Condition* progress = find(current, "Progressing");
  bool was_complete =
      next.replicas == next.updated && progress && progress->reason == "NewReplicaSetAvailable";
  if (was_complete) return;
  if (is_complete(deployment, next)) {
    put_condition(next,
                  {"Progressing", "True", "NewReplicaSetAvailable",
                   about(deployment, new_set, "has successfully progressed.")},
                  now);
  } else if (has_moved(current, next)) {
    // Every step counts anew for the deadline, so lastUpdateTime changes although the reason stays.
    Condition moved{"Progressing", "True", "ReplicaSetUpdated",
                    about(deployment, new_set, "is progressing.")};
    if (progress && progress->is_true()) moved.last_transition = progress->last_transition;
    drop_condition(next, "Progressing");
    put_condition(next, std::move(moved), now);
  } else if (has_timed_out(deployment, next, now)) {
    put_condition(next,
                  {"Progressing", "False", "ProgressDeadlineExceeded",
                   about(deployment, new_set, "has timed out progressing.")},
                  now);
  }
}

}  // namespace

void put_condition(DeploymentStatus& status, Condition condition, WallTime now) {
  if (const Condition* known = find(status, condition.type)) {
    if (known->status == condition.status && known->reason == condition.reason) return;
    if (known->status == condition.status) condition.last_transition = known->last_transition;
  }
  if (!condition.last_transition) condition.last_transition = now;
  if (!condition.last_update) condition.last_update = now;
  drop_condition(status, condition.type);
  status.conditions.push_back(std::move(condition));
}

void drop_condition(DeploymentStatus& status, std::string_view type) {
  std::erase_if(status.conditions, [type](const Condition& one) { return one.type == type; });
}

DeploymentStatus count_replicas(const DeploymentView& deployment, const DeploymentStatus& current,
                                const std::vector<SetCounts>& sets, const ReplicaSetView* new_set,
                                WallTime now) {
  DeploymentStatus next;
  next.observed_generation = deployment.meta().generation;
  next.conditions = current.conditions;
  next.collision_count = current.collision_count;
  std::int32_t wanted = 0, terminating = 0;
  for (const SetCounts& counts : sets) {
    wanted += counts.spec_replicas;
    next.replicas += counts.set->status.replicas;
    next.ready += counts.set->status.ready;
    next.available += counts.set->status.available;
    terminating += counts.set->status.terminating.value_or(0);
  }
  next.updated = new_set ? new_set->status.replicas : 0;
  next.unavailable = std::max(0, wanted - next.available);
  next.terminating = terminating;
  if (next.available >= deployment.replicas - deployment.max_unavailable_count()) {
    put_condition(
        next,
        {"Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability."},
        now);
  } else {
    put_condition(next,
                  {"Available", "False", "MinimumReplicasUnavailable",
                   "Deployment does not have minimum availability."},
                  now);
  }
  return next;
}

void judge_progress(const DeploymentView& deployment, const DeploymentStatus& current,
                    const std::vector<SetCounts>& sets, const ReplicaSetView* new_set,
                    DeploymentStatus& next, WallTime now) {
  if (deployment.progress_deadline) {
    judge_rollout(deployment, current, new_set, next, now);
  } else {
    drop_condition(next, "Progressing");
  }
  if (auto failure = replica_failure(sets, new_set)) {
    put_condition(next, *std::move(failure), now);
  } else {
    drop_condition(next, "ReplicaFailure");
  }
}

bool is_complete(const DeploymentView& deployment, const DeploymentStatus& status) {
  return status.updated == deployment.replicas && status.replicas == deployment.replicas &&
         status.available == deployment.replicas &&
         status.observed_generation >= deployment.meta().generation;
}

std::optional<Duration> until_deadline(const DeploymentView& deployment,
                                       const DeploymentStatus& status, WallTime now) {
  const Condition* progress = find(status, "Progressing");
  if (!deployment.progress_deadline || !progress || !progress->last_update) return std::nullopt;
  if (is_complete(deployment, status) || progress->reason == "ProgressDeadlineExceeded" ||
      progress->reason == "NewReplicaSetAvailable") {
    return std::nullopt;
  }
  // Times are kept in whole seconds: one more makes sure that the deadline has passed then.
  Duration left = *progress->last_update + *deployment.progress_deadline - now;
  return std::max(left, Duration::zero()) + std::chrono::seconds(1);
}

Json status_json(const DeploymentStatus& status) {
  Json out = Json::object();
  auto put = [&out](const char* key, std::int64_t value) {
    if (value != 0) out[key] = value;
  };
  put("observedGeneration", status.observed_generation);
  put("replicas", status.replicas);
  put("updatedReplicas", status.updated);
  put("readyReplicas", status.ready);
  put("availableReplicas", status.available);
  put("unavailableReplicas", status.unavailable);
  if (status.terminating) out["terminatingReplicas"] = *status.terminating;
  if (status.collision_count) out["collisionCount"] = *status.collision_count;
  if (status.conditions.empty()) return out;
  Json& list = out["conditions"] = Json::array();
  for (const Condition& one : status.conditions) {
    Json json = {{"type", one.type}, {"status", one.status}};
    if (!one.reason.empty()) json["reason"] = one.reason;
    if (!one.message.empty()) json["message"] = one.message;
    if (one.last_update) json["lastUpdateTime"] = format_rfc3339(*one.last_update);
    if (one.last_transition) json["lastTransitionTime"] = format_rfc3339(*one.last_transition);
    list.push_back(std::move(json));
  }
  return out;
}

}  // namespace moth::controllers
