#pragma once
// The rows of storage.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef csi_drivers();
ResourceDef csi_nodes();
ResourceDef csi_storage_capacities();
ResourceDef storage_classes();
ResourceDef volume_attachments();
ResourceDef volume_attributes_classes();

}  // namespace moth::resources
