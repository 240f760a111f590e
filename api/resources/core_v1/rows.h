#pragma once
// The rows of the core group, one function per kind.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef bindings();
ResourceDef component_statuses();
ResourceDef config_maps();
ResourceDef endpoints();
ResourceDef events();
ResourceDef limit_ranges();
ResourceDef namespaces();
ResourceDef nodes();
ResourceDef persistent_volume_claims();
ResourceDef persistent_volumes();
ResourceDef pod_templates();
ResourceDef pods();
ResourceDef replication_controllers();
ResourceDef resource_quotas();
ResourceDef secrets();
ResourceDef service_accounts();
ResourceDef services();

}  // namespace moth::resources
