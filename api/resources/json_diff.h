#pragma once
// What differs between two JSON values, as lines for messages about fields that may not change.
#include <string>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// One line for each place that differs, "-  path: old" and "+  path: new"; at most 50 or so. Pure.
std::string json_diff(const Json& old, const Json& now, const FieldPath& path);

}  // namespace moth::resources
