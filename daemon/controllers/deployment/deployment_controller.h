#pragma once
// Rolls a Deployment's template out over ReplicaSets (k8s-behaviours 13.3).
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_deployment_controller(ControllerContext context);

}  // namespace moth::controllers
