#pragma once
// Endpoints: keeps the EndpointSlices and the Endpoints of every Service with a selector equal to
// its pods. Those of Services without one are left to whoever made them.
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_endpoints_controller(ControllerContext context);

}  // namespace moth::controllers
