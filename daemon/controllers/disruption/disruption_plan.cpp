#include "daemon/controllers/disruption/disruption_plan.h"

#include <algorithm>

#include "api/machinery/time.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/policy_v1/pod_disruption_budget_view.h"

namespace moth::controllers {
namespace {

using resources::PodDisruptionBudgetView;
using resources::PodView;

// An eviction whose pod was not deleted by then did not happen [upstream].
constexpr auto kDeletionTime = std::chrono::minutes(2);

struct Goal {
  std::int32_t expected = 0, desired = 0;
};

Result<Goal> goal_of(const PodDisruptionBudgetView& budget, std::size_t pods,
                     const ScaleSum& scale) {
  Goal goal;
  if (budget.max_unavailable) {
    goal.expected = scale.replicas;
    MOTH_ASSIGN(std::int32_t gone, budget.max_unavailable->scaled(goal.expected, true));
    goal.desired = std::max(0, goal.expected - gone);
  } else if (budget.min_available && !budget.min_available->is_string) {
    goal.expected = static_cast<std::int32_t>(pods);
    goal.desired = budget.min_available->number;
  } else if (budget.min_available) {
    goal.expected = scale.replicas;
    MOTH_ASSIGN(goal.desired, budget.min_available->scaled(goal.expected, true));
  }
  return goal;
}

}  // namespace

bool needs_scale(const Object& budget) {
  const auto& view = budget.view<PodDisruptionBudgetView>();
  return view.max_unavailable || (view.min_available && view.min_available->is_string);
}

Result<BudgetStatus> plan_budget(const Object& budget, const std::vector<ObjectPtr>& pods,
                                 const ScaleSum& scale, WallTime now) {
  const auto& view = budget.view<PodDisruptionBudgetView>();
  MOTH_ASSIGN(Goal goal, goal_of(view, pods.size(), scale));
  BudgetStatus plan;
  Json disrupted = Json::object();
  std::int32_t healthy = 0;
  for (const ObjectPtr& object : pods) {
    const auto& pod = object->view<PodView>();
    if (pod.is_deleting()) continue;
    if (auto granted = view.status.disrupted.find(pod.name());
        granted != view.status.disrupted.end()) {
      auto left = granted->second + kDeletionTime - now;
      if (left > WallTime::duration::zero()) {
        disrupted[pod.name()] = format_rfc3339(granted->second);
        auto wait = std::chrono::duration_cast<Duration>(left);
        plan.recheck = plan.recheck ? std::min(*plan.recheck, wait) : wait;
        continue;
      }
      plan.not_deleted.push_back(pod.name());
    }
    if (pod.is_ready()) ++healthy;
  }
  std::int32_t allowed = goal.expected > 0 ? std::max(0, healthy - goal.desired) : 0;
  Json status = Json::object();
  const Json whole = budget.parse();
  if (const Json* conditions = find_path(whole, "status", "conditions"))
    status["conditions"] = *conditions;
  status["observedGeneration"] = budget.meta().generation;
  status["currentHealthy"] = healthy;
  status["desiredHealthy"] = goal.desired;
  status["expectedPods"] = goal.expected;
  status["disruptionsAllowed"] = allowed;
  if (!disrupted.empty()) status["disruptedPods"] = std::move(disrupted);
  resources::set_condition(
      status,
      {"DisruptionAllowed", allowed > 0 ? "True" : "False",
       allowed > 0 ? "SufficientPods" : "InsufficientPods", "", budget.meta().generation},
      now);
  plan.status = std::move(status);
  return plan;
}

Json failed_status(const Object& budget, const std::string& why, WallTime now) {
  const Json whole = budget.parse();
  Json status = Json::object();
  if (const Json* known = find_member(whole, "status"); known && known->is_object())
    status = *known;
  for (const char* number : {"currentHealthy", "desiredHealthy", "expectedPods"}) {
    if (!status.contains(number)) status[number] = 0;
  }
  status["disruptionsAllowed"] = 0;
  status["observedGeneration"] = budget.meta().generation;
  resources::set_condition(
      status, {"DisruptionAllowed", "False", "SyncFailed", why, budget.meta().generation}, now);
  return status;
}

}  // namespace moth::controllers
