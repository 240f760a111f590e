#pragma once
// The rows of apiregistration.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef api_services();

}  // namespace moth::resources
