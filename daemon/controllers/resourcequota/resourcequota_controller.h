#pragma once
// ResourceQuota: status.hard and status.used say what is allowed and what is in use. Admission
// counts by itself; this is for those who look.
#include <memory>

#include "api/resources/registry.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// `registry` tells what count/... names may mean, now and later; it outlives the controller.
std::unique_ptr<Controller> make_resourcequota_controller(ControllerContext context,
                                                          resources::Registry& registry);

}  // namespace moth::controllers
