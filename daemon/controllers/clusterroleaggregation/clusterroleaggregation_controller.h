#pragma once
// ClusterRole aggregation: a ClusterRole with an aggregationRule has the rules of all that its
// selectors pick.
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_clusterroleaggregation_controller(ControllerContext context);

}  // namespace moth::controllers
