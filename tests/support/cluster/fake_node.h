#pragma once
// FakeNode: "runs" the pods that are bound to it by writing their statuses, and finishes their
// deletion. What each pod does is told by a function. A controller like the others, on the control
// thread.
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/controllers/framework/controller.h"

namespace moth::test {

struct PodBehaviour {
  Duration start_delay{0};       // from binding to Running
  bool ready = true;             // whether it becomes ready at all
  Duration ready_delay{0};       // from Running to Ready
  Duration stop_delay{0};        // from the deletion to its end
  std::optional<int> exit_code;  // ends by itself after run_time
  Duration run_time{0};
};
using BehaviourOf = std::function<PodBehaviour(const Object& pod)>;

std::unique_ptr<controllers::Controller> make_fake_node(controllers::ControllerContext context,
                                                        std::string node_name,
                                                        std::shared_ptr<BehaviourOf> behaviour);

}  // namespace moth::test
