#pragma once
// What the server does to metadata, for every kind. Pure functions.
#include <string>
#include <string_view>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/machinery/names.h"
#include "api/resources/registry.h"

namespace moth::server {

// Fills in uid, creationTimestamp, generation 1, the namespace and a generated name; drops what a
// client may not set. BadRequest for a foreign namespace or a resourceVersion.
Result<> prepare_meta_for_create(Json& object, const resources::ResourceDef& def,
                                 std::string_view ns, WallTime now, const RandomSource& random);
// Keeps what only the server changes (uid, creationTimestamp, deletion marks, generation...).
void keep_server_meta(Json& object, const Json& old);
// Something but metadata and status differs.
bool spec_differs(const Json& object, const Json& old);
// Raises metadata.generation when anything but metadata and status differs.
void raise_generation(Json& object, const Json& old);

FieldErrors validate_meta(const Json& object, const resources::ResourceDef& def);
FieldErrors validate_meta_update(const Json& object, const Json& old);

}  // namespace moth::server
