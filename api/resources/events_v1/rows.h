#pragma once
// The rows of events.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef events_v1_events();

}  // namespace moth::resources
