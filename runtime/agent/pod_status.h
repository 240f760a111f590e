#pragma once
// build_pod_status: the status of a pod's object from what its worker knows. Pure; k8s-behaviours
// section 6.
#include "api/base/json_fwd.h"
#include "runtime/agent/pod_context.h"
#include "runtime/agent/pod_record.h"

namespace moth::agent {

struct StatusInput {
  const PodContext& pod;
  const PodRecord& record;
  WallTime now;
};

Json build_pod_status(const StatusInput& input);

}  // namespace moth::agent
