#pragma once
// Pod garbage collection (k8s-behaviours 13.8): finished pods beyond a number, pods whose node is
// gone or has no agent, and terminating pods that never got a node.
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

struct PodGcOptions {
  std::size_t finished_threshold = 12'500;  // finished pods that may stay
  // Ends terminating pods on nodes that no agent registered (status.nodeInfo.kubeletVersion). For
  // --without-node: a node of our own may not have told its version yet.
  bool end_without_agent = false;
};

std::unique_ptr<Controller> make_podgc_controller(ControllerContext context,
                                                  PodGcOptions options = {});

}  // namespace moth::controllers
