#pragma once
// The rows of scheduling.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef priority_classes();

}  // namespace moth::resources
