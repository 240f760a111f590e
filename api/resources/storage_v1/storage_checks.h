#pragma once
// Checks that several kinds of storage share. Internal to api/resources.
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// The name of a provisioner: a qualified name in any case of letters.
void check_provisioner(FieldErrors& errors, const Json& object, std::string_view key);
// The parameters of a class; `needed`: at least one.
void check_parameters(FieldErrors& errors, const Json& object, bool needed);
// The name of a CSI driver; `path` is the name's own.
void check_driver_name(FieldErrors& errors, std::string_view name, const FieldPath& path);
// Member `key` of a class differs: Forbidden.
void check_class_member_kept(FieldErrors& errors, const Json& object, const Json& old,
                             std::string_view key);

}  // namespace moth::resources
