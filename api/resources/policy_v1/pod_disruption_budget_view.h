#pragma once
// PodDisruptionBudgetView: what evictions and the disruption controller act upon. Built and kept by
// `object.view<PodDisruptionBudgetView>()` on the control thread; valid as long as its object.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/machinery/int_or_string.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

class PodDisruptionBudgetView {
 public:
  explicit PodDisruptionBudgetView(const Object& object);

  const Meta& meta() const { return *meta_; }

  // `{}` selects every pod of the namespace, none given selects nothing.
  LabelSelector selector = LabelSelector::nothing();
  // At most one of both.
  std::optional<IntOrString> min_available, max_unavailable;
  // unhealthyPodEvictionPolicy AlwaysAllow; else IfHealthyBudget.
  bool always_allow_unhealthy = false;

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t disruptions_allowed = 0, current_healthy = 0, desired_healthy = 0,
                 expected_pods = 0;
    // Pods whose eviction was granted and that are not seen to end yet, by name.
    std::map<std::string, WallTime> disrupted;
    std::vector<Condition> conditions;
  } status;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
