#pragma once
// Defaults, validation and update rules of Services. Internal to core_v1. What is allocated
// (cluster addresses, node ports) is the server's business; what is given is checked here.
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

void set_service_defaults(Json& service);
void prepare_service_create(Json& service);
// Keeps what was allocated, and drops what a change of type made meaningless.
void prepare_service_update(Json& service, const Json& old);
FieldErrors validate_service(const Json& service);
FieldErrors validate_service_update(const Json& service, const Json& old);

}  // namespace moth::resources
