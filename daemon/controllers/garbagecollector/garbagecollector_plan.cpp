#include "daemon/controllers/garbagecollector/garbagecollector_plan.h"

#include <algorithm>

namespace moth::controllers {
namespace {

bool has_finalizer(const Meta& object, std::string_view name) {
  return std::find(object.finalizers.begin(), object.finalizers.end(), name) !=
         object.finalizers.end();
}

}  // namespace

CollectionPlan plan_collection(const Meta& object, const std::vector<OwnerState>& owners,
                               std::size_t dependents, std::size_t blocking_dependents) {
  using Action = CollectionPlan::Action;
  CollectionPlan plan;
  if (object.deletion_time && has_finalizer(object, "orphan")) {
    plan.action = dependents > 0 ? Action::kOrphanDependents : Action::kReleaseOwner;
    return plan;
  }
  if (object.deletion_time && has_finalizer(object, "foregroundDeletion")) {
    if (blocking_dependents == 0) plan.action = Action::kReleaseOwner;
    return plan;
  }
  if (owners.empty() || object.deletion_time) return plan;
  bool any_lives = std::find(owners.begin(), owners.end(), OwnerState::kLives) != owners.end();
  bool any_foreground =
      std::find(owners.begin(), owners.end(), OwnerState::kForeground) != owners.end();
  if (!any_lives) {
    plan.action = Action::kDelete;
    plan.foreground = any_foreground && dependents > 0;
    return plan;
  }
  for (std::size_t i = 0; i < owners.size(); ++i) {
    if (owners[i] != OwnerState::kLives) plan.drop_owners.push_back(object.owners[i].uid);
  }
  if (!plan.drop_owners.empty()) plan.action = Action::kDropOwners;
  return plan;
}

}  // namespace moth::controllers
