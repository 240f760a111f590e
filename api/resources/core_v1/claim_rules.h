#pragma once
// Rules of PersistentVolumeClaims that the claim templates of StatefulSets share, and what claims
// and volumes print alike. Pure functions.
#include <string>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// A claim or a template of one.
void set_claim_defaults(Json& claim);
FieldErrors validate_claim_spec(const Json& spec, const FieldPath& path);

// accessModes of claims and volumes: known ones, ReadWriteOncePod alone.
void check_access_modes(FieldErrors& errors, const Json& spec, const FieldPath& path,
                        std::string required_detail);

// `RWO,ROX`
std::string access_modes_cell(const Json& owner);
// status.phase, or Terminating while it is being deleted.
std::string phase_cell(const Json& object);
// A text member, `<unset>` when it is absent.
std::string or_unset(const Json& owner, const char* key);

}  // namespace moth::resources
