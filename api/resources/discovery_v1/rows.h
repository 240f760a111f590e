#pragma once
// The rows of discovery.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef endpoint_slices();

}  // namespace moth::resources
