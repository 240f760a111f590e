#pragma once
// ServiceAccount: every active namespace has an account named "default".
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_serviceaccount_controller(ControllerContext context);

}  // namespace moth::controllers
