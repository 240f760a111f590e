#pragma once
// The spec of a CustomResourceDefinition: defaults and validation with upstream's texts. Pure.
#include <string>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

void set_definition_defaults(Json& definition);
FieldErrors validate_definition(const Json& definition);
FieldErrors validate_definition_update(const Json& definition, const Json& old);
// Of status.storedVersions.
FieldErrors validate_definition_status(const Json& definition);

// The name of the version with storage: true; empty when there is none.
std::string stored_version(const Json& definition);
// `.spec.replicas` as the JSON pointer /spec/replicas; empty when it is no plain path of members.
std::string pointer_of(std::string_view json_path);

}  // namespace moth::resources
