#pragma once
// Namespace: empties a terminating namespace, pods first, and lets it go when nothing is left;
// makes the system namespaces again when they are missing.
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// `registry` tells what can be in a namespace.
std::unique_ptr<Controller> make_namespace_controller(ControllerContext context,
                                                      const resources::Registry& registry);

}  // namespace moth::controllers
