#pragma once
// Keeps as many pods of a ReplicaSet's template as its spec asks for (k8s-behaviours 13.2).
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_replicaset_controller(ControllerContext context);

}  // namespace moth::controllers
