#pragma once
// The rows of apps/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef controller_revisions();
ResourceDef deployments();
ResourceDef replica_sets();

}  // namespace moth::resources
