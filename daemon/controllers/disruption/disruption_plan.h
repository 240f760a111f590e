#pragma once
// What the status of a PodDisruptionBudget should be (k8s-behaviours 16.3). Pure functions.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/base/result.h"
#include "api/machinery/object.h"

namespace moth::controllers {

struct ScaleSum {
  std::int32_t replicas = 0;  // of all controllers of the pods, each once
  bool unmanaged = false;     // some pod has no controller
};

struct BudgetStatus {
  Json status;
  // Evictions that were granted and whose pods live on after the time for that.
  std::vector<std::string> not_deleted;
  // When the next granted eviction counts no more.
  std::optional<Duration> recheck;
};

// Whether scale is asked for at all: a whole number of minAvailable needs none.
bool needs_scale(const Object& budget);
// `pods` are all that the budget selects. BadRequest when its numbers make no sense.
Result<BudgetStatus> plan_budget(const Object& budget, const std::vector<ObjectPtr>& pods,
                                 const ScaleSum& scale, WallTime now);
// When the above cannot be said: nothing may be disrupted.
Json failed_status(const Object& budget, const std::string& why, WallTime now);

}  // namespace moth::controllers
