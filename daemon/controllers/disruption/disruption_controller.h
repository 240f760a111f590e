#pragma once
// PodDisruptionBudget: how many of the selected pods are healthy and how many may be evicted.
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// `registry` tells how the controllers of pods scale; it outlives the controller.
std::unique_ptr<Controller> make_disruption_controller(ControllerContext context,
                                                       resources::Registry& registry);

}  // namespace moth::controllers
