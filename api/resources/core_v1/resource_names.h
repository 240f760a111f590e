#pragma once
// What names of resources (cpu, requests.storage, nvidia.com/gpu ...) may stand where. Internal to
// core_v1. Pure functions.
#include <string>
#include <string_view>

#include "api/machinery/field_error.h"

namespace moth::resources {

// A known name, or one with a domain.
void check_resource_name(FieldErrors& errors, const std::string& name, const FieldPath& path);
// One that containers may ask for.
void check_container_resource_name(FieldErrors& errors, const std::string& name,
                                   const FieldPath& path);
// One that a quota may bound.
void check_quota_resource_name(FieldErrors& errors, const std::string& name, const FieldPath& path);

// A name without a domain that a quota knows.
bool is_standard_quota_resource(std::string_view name);
// Amounts of it are whole: counts of objects, and extended resources.
bool is_integer_resource(std::string_view name);
// More may be asked for as a limit than as a request.
bool may_overcommit(std::string_view name);

}  // namespace moth::resources
