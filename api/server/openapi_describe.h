#pragma once
// Rows of the registry as the OpenAPI writers want them.
#include "api/resources/registry.h"
#include "api/schema/openapi_v3.h"

namespace moth::server {

// The types are valid as long as the row is.
schema::ResourceInfo describe_for_openapi(const resources::ResourceDef& def);

}  // namespace moth::server
