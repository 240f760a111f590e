#pragma once
// Lets deleted PersistentVolumeClaims and PersistentVolumes go once nobody uses them: takes away
// the finalizers that admission (StorageObjectInUseProtection) gave them.
#include <memory>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_storageprotection_controller(ControllerContext context);

}  // namespace moth::controllers
