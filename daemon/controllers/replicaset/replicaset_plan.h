#pragma once
// What a ReplicaSet needs (k8s-behaviours 13.2). Pure functions on the control thread (they read
// typed views).
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"  // a status is held by value
#include "api/machinery/object.h"

namespace moth::controllers {

// At most so many pods are created or deleted in one reconcile.
inline constexpr int kReplicaBurst = 500;

struct ReplicaSetPlan {
  int create = 0;
  std::vector<ObjectPtr> remove;
};

// `owned` are the pods of the ReplicaSet, `related` gives all pods of the ReplicaSets with the same
// owner (its own included): where more of them run together, one goes first. It is asked only when
// pods must go.
ReplicaSetPlan plan_replicas(const Object& replica_set, const std::vector<ObjectPtr>& owned,
                             const std::function<std::vector<ObjectPtr>()>& related, WallTime now);

// Pods in the order in which they are to be deleted.
std::vector<ObjectPtr> rank_for_deletion(std::vector<ObjectPtr> pods,
                                         const std::vector<ObjectPtr>& related, WallTime now);

// The pod to create, of spec.template; named by the server.
Json pod_from_template(const Object& replica_set);

// Why replicas could not be managed.
struct ReplicaFailure {
  bool creating = true;
  std::string message;
};

struct ReplicaSetStatusPlan {
  Json status;
  // When a ready pod becomes available although nothing changes.
  std::optional<Duration> next_available;
};
ReplicaSetStatusPlan plan_replicaset_status(const Object& replica_set,
                                            const std::vector<ObjectPtr>& owned,
                                            const std::optional<ReplicaFailure>& failure,
                                            WallTime now);

}  // namespace moth::controllers
