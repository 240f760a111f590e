#pragma once
// Defaults, validation, printing and the autoscaling/v1 form of HorizontalPodAutoscalers. Internal
// to autoscaling_v2.
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/resources/registry.h"

namespace moth::resources {

void set_hpa_defaults(Json& object);
FieldErrors validate_hpa(const Json& object);
// Reads both forms.
Json hpa_row(const Json& object, const RowContext& context);
std::vector<Column> hpa_columns();

// Whole objects. What v1 has no field for travels in annotations.
Json hpa_v1_to_v2(const Json& object);
Json hpa_v2_to_v1(const Json& object);

}  // namespace moth::resources
