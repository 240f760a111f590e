#pragma once
// The pieces of certificate signing requests. Pure functions.
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// Checks of a whole CertificateSigningRequest, its status included.
FieldErrors validate_signing_request(const Json& object);
// Conditions that decide (Approved, Denied, Failed) cannot be taken away again.
void check_decisions_kept(FieldErrors& errors, const Json& object, const Json& old);
// A write to /status does not approve or deny.
void check_no_approval(FieldErrors& errors, const Json& object, const Json& old);
// `domain/name`; `path` is the name's own.
void check_signer_name(FieldErrors& errors, std::string_view name, const FieldPath& path);

}  // namespace moth::resources
