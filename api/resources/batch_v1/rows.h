#pragma once
// The rows of batch/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef cron_jobs();
ResourceDef jobs();

}  // namespace moth::resources
