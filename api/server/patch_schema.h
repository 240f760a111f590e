#pragma once
// The built-in types as strategic merge patch sees them.
#include "api/machinery/patch_strategic.h"
#include "api/schema/types.h"

namespace moth::server {

// Lives for ever. Any thread.
const PatchSchema& patch_schema(schema::Type type);

}  // namespace moth::server
