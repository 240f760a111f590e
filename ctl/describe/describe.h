#pragma once
// Descriptions of objects for people, laid out as kubectl describe does.
#include <string>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

// The whole description with what belongs to the object (its events, ReplicaSets, endpoints, pods),
// fetched from the server. What cannot be fetched is left out.
std::string describe_object(Api& api, const ApiResource& resource, const Json& object,
                            bool with_events);

// A pod template with tabs between its columns, as `rollout history --revision` prints it. Pure.
std::string describe_pod_template(const Json& pod_template);

}  // namespace moth::ctl
