#pragma once
// Namespace: empties a terminating namespace, pods first, and lets it go when nothing is left;
// makes the system namespaces again when they are missing.
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// `registry` tells what can be in a namespace, now and later; it outlives the controller.
std::unique_ptr<Controller> make_namespace_controller(ControllerContext context,
                                                      resources::Registry& registry);

}  // namespace moth::controllers
