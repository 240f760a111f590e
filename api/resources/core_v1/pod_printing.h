#pragma once
// The row that `kubectl get pods` prints. Pure functions.
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/resources/registry.h"

namespace moth::resources {

std::vector<Column> pod_columns();
Json pod_row(const Json& pod, const RowContext& context);
Json pod_row_conditions(const Json& pod);
// The STATUS column alone.
std::string pod_status_text(const Json& pod);

}  // namespace moth::resources
