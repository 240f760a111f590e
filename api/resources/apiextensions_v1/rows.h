#pragma once
// The rows of apiextensions.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef custom_resource_definitions();

// The finalizer that keeps a definition until its objects are gone; the deletion puts it there.
inline constexpr const char* kCustomResourceCleanup = "customresourcecleanup.apiextensions.k8s.io";

}  // namespace moth::resources
