#pragma once
// The revisions of a workload: ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet or
// DaemonSet.
#include <map>
#include <string>

#include "api/base/json.h"
#include "ctl/cli/context.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {

struct Revision {
  std::string cause;  // the change-cause annotation
  Json pod_template;  // as the ReplicaSet has it
  Json annotations;   // what an undo takes over
  Json patch;         // of a ControllerRevision: what an undo sends
};

// By number, ascending.
Outcome<std::map<std::int64_t, Revision>> revisions_of(Api& api, const ObjectInfo& workload);
// Without the label that the Deployment's controller adds.
Json without_template_hash(Json pod_template);

}  // namespace moth::ctl
