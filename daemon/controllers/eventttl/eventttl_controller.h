#pragma once
// Event TTL: events are kept for an hour after they were last seen (k8s-behaviours 13.8), and the
// newest 4,096 at most: an event costs some 2 KB of memory, and churn makes thousands an hour.
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_eventttl_controller(ControllerContext context);

}  // namespace moth::controllers
