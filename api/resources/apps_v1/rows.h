#pragma once
// The rows of apps/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef controller_revisions();
ResourceDef daemon_sets();
ResourceDef deployments();
ResourceDef replica_sets();
ResourceDef stateful_sets();

}  // namespace moth::resources
