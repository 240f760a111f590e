#pragma once
// The rows of policy/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef pod_disruption_budgets();

}  // namespace moth::resources
