#pragma once
// Preemption: which pods would have to go so that a more important one fits. Pure; control thread.
#include <optional>
#include <string>
#include <vector>

#include "scheduler/pipeline.h"

namespace moth::scheduler {

struct PreemptionPlan {
  std::string node;
  std::vector<const resources::PodView*> victims;
};

// The plan with the lowest highest victim priority, then the lowest sum, then the fewest victims.
// Nothing when no removal of less important pods helps.
std::optional<PreemptionPlan> plan_preemption(const resources::PodView& pod,
                                              const Snapshot& snapshot, const Pipeline& pipeline,
                                              const std::vector<std::string>& candidates);

}  // namespace moth::scheduler
