#pragma once
// The rows of the core group, one function per kind.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef config_maps();
ResourceDef endpoints();
ResourceDef events();
ResourceDef limit_ranges();
ResourceDef namespaces();
ResourceDef nodes();
ResourceDef pods();
ResourceDef resource_quotas();
ResourceDef secrets();
ResourceDef service_accounts();
ResourceDef services();

}  // namespace moth::resources
