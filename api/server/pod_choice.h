#pragma once
// What log, exec, attach and port-forward ask of a pod before they go to the node. Pure functions;
// errors in upstream's words.
#include <string>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::server {

// The container that is meant: the one named, the preferred, the only one, or a 400 that lists the
// choice.
Result<std::string> choose_container(const Json& pod, const std::string& wanted);
// BadRequest while the pod has no node.
Result<> check_assigned(const Json& pod);

}  // namespace moth::server
