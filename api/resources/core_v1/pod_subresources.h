#pragma once
// The pods' subresources that are written as a whole Pod: ephemeralcontainers and resize. Pure
// functions; hooks of `Subresource`.
#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// spec.ephemeralContainers is taken over; existing ones stay as they are.
void take_ephemeral_containers(Json& pod, const Json& wanted, WallTime now);
FieldErrors validate_ephemeral_containers(const Json& pod, const Json& old);

// resources and resizePolicy of each container are taken over. When containers came, went or were
// renamed all of the spec is, so that validation can say so.
void take_resize(Json& pod, const Json& wanted, WallTime now);
// Only amounts of cpu and memory of app containers and sidecars change, none is removed, and the
// QoS class stays.
FieldErrors validate_resize(const Json& pod, const Json& old);

}  // namespace moth::resources
