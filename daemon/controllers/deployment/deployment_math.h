#pragma once
// The arithmetic of rollouts (k8s-behaviours 13.3), on numbers alone. Pure functions, any thread.
#include <cstdint>
#include <string>
#include <vector>

namespace moth::controllers {

// One ReplicaSet of a rollout.
struct SetSize {
  std::int32_t spec = 0;       // spec.replicas
  std::int32_t available = 0;  // status.availableReplicas
  // The annotation max-replicas; 0: none.
  std::int32_t max_annotation = 0;
  std::int64_t age_rank = 0;  // larger: newer
};

// What the Deployment allows.
struct RolloutBounds {
  std::int32_t replicas = 0, surge = 0, unavailable = 0;
  bool recreate = false;
};

// The size that the new set may have now; `total` is the sum of spec over all sets, it included.
std::int32_t new_set_size(const RolloutBounds& bounds, std::int32_t current, std::int32_t total);

// New sizes of the old sets (oldest first): unhealthy pods go first, then healthy ones as far as
// enough stay available.
std::vector<std::int32_t> shrink_old_sets(const RolloutBounds& bounds,
                                          const std::vector<SetSize>& old_sets,
                                          const SetSize& new_set);

// New sizes when the Deployment was scaled while several sets are active: each in proportion, what
// is left over to the largest. `status_replicas` stands in for a missing max_annotation.
std::vector<std::int32_t> scale_proportionally(const RolloutBounds& bounds,
                                               const std::vector<SetSize>& active,
                                               std::int32_t status_replicas);

}  // namespace moth::controllers
