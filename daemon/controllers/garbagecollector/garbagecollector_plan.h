#pragma once
// What the garbage collector does about one object. Pure (k8s-behaviours section 15).
#include <string>
#include <vector>

#include "api/machinery/object.h"

namespace moth::controllers {

enum class OwnerState {
  kLives,
  kAbsent,      // no such object, or one with another uid
  kForeground,  // it waits for its dependents to go first
};

struct CollectionPlan {
  enum class Action { kNone, kDelete, kDropOwners, kReleaseOwner, kOrphanDependents };
  Action action = Action::kNone;
  bool foreground = false;               // kDelete: its own dependents first
  std::vector<std::string> drop_owners;  // kDropOwners: uids of references that lead nowhere
};

// `owners` in the order of the object's ownerReferences. `blocking_dependents`: how many objects
// refer to it with blockOwnerDeletion; `dependents`: how many refer to it at all.
CollectionPlan plan_collection(const Meta& object, const std::vector<OwnerState>& owners,
                               std::size_t dependents, std::size_t blocking_dependents);

}  // namespace moth::controllers
