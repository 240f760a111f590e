#pragma once
// Whether a rollout is done, and what to say about it. Pure.
#include <string>

#include "api/base/json.h"
#include "ctl/cli/failure.h"

namespace moth::ctl {

struct RolloutStatus {
  std::string message;  // with its newline
  bool done = false;
};

// Of a Deployment, StatefulSet or DaemonSet; `revision` > 0 insists on that revision.
Outcome<RolloutStatus> rollout_status(const Json& object, std::int64_t revision);

}  // namespace moth::ctl
