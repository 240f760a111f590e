#pragma once
// The rows of resource.k8s.io/v1 (dynamic resource allocation).
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef device_classes();
ResourceDef resource_claim_templates();
ResourceDef resource_claims();
ResourceDef resource_slices();

}  // namespace moth::resources
