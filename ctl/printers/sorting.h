#pragma once
// --sort-by: objects, or rows of a table, by what a JSONPath finds in them. Pure.
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::ctl {

// Sorts the list `items` in place and keeps the order of equals. Numbers, amounts ("100m", "1Gi")
// and texts ("pod-2" before "pod-10") compare as such; what is missing comes first.
Result<void> sort_items(Json& items, std::string_view expression);

}  // namespace moth::ctl
