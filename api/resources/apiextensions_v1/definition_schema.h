#pragma once
// Whether the schema of a CustomResourceDefinition is one: structural, with nothing that is not
// served, defaults that validate and rules that compile. Upstream's texts. Pure.
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

FieldErrors check_definition_schema(const Json& schema, const FieldPath& path);

}  // namespace moth::resources
