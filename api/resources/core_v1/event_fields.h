#pragma once
// Events of the core group and of events.k8s.io are one object in two forms; the stored one is the
// core group's. What both rows share.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/resources/registry.h"

namespace moth::resources {

// Columns and cells; the object is in either form.
std::vector<Column> event_columns();
Json event_row(const Json& event, const RowContext& context);
// A selectable field by its name in either form; the object is in either form.
std::string event_field(const Json& event, std::string_view path);

// events.k8s.io/v1 to core v1 and back, apiVersion included.
Json event_to_core(const Json& event);
Json event_from_core(const Json& event);

}  // namespace moth::resources
