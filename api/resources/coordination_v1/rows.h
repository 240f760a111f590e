#pragma once
// The rows of coordination.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef leases();

}  // namespace moth::resources
