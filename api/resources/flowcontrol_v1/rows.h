#pragma once
// The rows of flowcontrol.apiserver.k8s.io/v1. Stored and served; the server's own limits do not
// follow them.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef flow_schemas();
ResourceDef priority_level_configurations();

}  // namespace moth::resources
