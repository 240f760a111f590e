#pragma once
// Tables and partial metadata: how lists and watch events are rendered for kubectl. Pure functions.
#include <string>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/resources/registry.h"

namespace moth::server {

enum class IncludeObject { kNone, kMetadata, kObject };

Json table_columns(const resources::ResourceDef& def);
// One row of `object` (in the version of `def`).
Json table_row(const resources::ResourceDef& def, const Json& object, IncludeObject include,
               WallTime now);
// {"kind":"Table",...}: columns may be null (later events of a watch).
Json table(Json columns, Json rows, Json metadata);
// The columns and the row of a Scale.
Json scale_table(const Json& scale, WallTime now);
Json partial_metadata(const Json& object);

}  // namespace moth::server
