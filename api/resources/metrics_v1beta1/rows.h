#pragma once
#include "api/resources/registry.h"

namespace moth::resources {

// Usage of pods and nodes: computed when asked for, never stored.
ResourceDef pod_metrics();
ResourceDef node_metrics();

}  // namespace moth::resources
