#pragma once
// Garbage collector: deletes objects whose owners are gone, and carries out the foreground and
// orphan policies. Keys are (resource "/" namespace, name) of any object that owns or is owned.
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_garbagecollector_controller(ControllerContext context,
                                                             resources::Registry& registry);

}  // namespace moth::controllers
