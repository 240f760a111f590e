#pragma once
// The rows of rbac.authorization.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef cluster_role_bindings();
ResourceDef cluster_roles();
ResourceDef role_bindings();
ResourceDef roles();

}  // namespace moth::resources
