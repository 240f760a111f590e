#pragma once
// Whether the schema of a CustomResourceDefinition is one: structural, with nothing that is not
// served, defaults that validate and rules that compile. Upstream's texts. Pure.
#include "api/resources/apiextensions_v1/prepared_schema.h"

namespace moth::resources {

JudgedSchema check_definition_schema(const Json& schema, const FieldPath& path);

}  // namespace moth::resources
