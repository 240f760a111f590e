#pragma once
// The rows of networking.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef ingress_classes();
ResourceDef ingresses();
ResourceDef ip_addresses();
ResourceDef network_policies();
ResourceDef service_cidrs();

}  // namespace moth::resources
