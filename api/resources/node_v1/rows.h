#pragma once
// The rows of node.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef runtime_classes();

}  // namespace moth::resources
