#pragma once
// NoExecute taints: pods that do not tolerate those of their node are deleted, at once or after
// their tolerationSeconds (k8s-behaviours 12.3).
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "api/resources/core_v1/pod_spec.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// How long a pod may stay: nothing for ever, 0 not at all. `taints` with the time each was added,
// by which toleration times are counted. Pure.
struct AddedTaint {
  resources::Taint taint;
  std::optional<WallTime> added;
};
struct Stay {
  bool for_ever = false;
  WallTime until{};  // else
};
Stay stay_of(const std::vector<AddedTaint>& taints,
             const std::vector<resources::Toleration>& tolerations, WallTime now);

std::unique_ptr<Controller> make_tainteviction_controller(ControllerContext context);

}  // namespace moth::controllers
