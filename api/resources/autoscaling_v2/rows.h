#pragma once
// The rows of autoscaling/v2 (stored) and autoscaling/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef horizontal_pod_autoscalers();
ResourceDef horizontal_pod_autoscalers_v1();

}  // namespace moth::resources
