#pragma once
// Kinds whose versions a webhook converts into each other (spec.conversion of the definition). The
// hooks of their rows change the apiVersion alone; whoever shows or takes an object in another
// version than the stored one asks the webhook first. Pure; any thread.
#include "api/base/json_fwd.h"
#include "api/resources/registry.h"

namespace moth::resources {

// spec.conversion.webhook, valid as long as the row; null for kinds that need none.
const Json* conversion_webhook(const ResourceDef& def);

}  // namespace moth::resources
