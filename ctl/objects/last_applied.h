#pragma once
// The annotation that `apply` compares with, and flags shared by what writes objects. Pure.
#include <string>
#include <string_view>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

inline constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

// `object` with the annotation that holds itself as kubectl writes it.
Json with_last_applied(Json object);
// What was applied last; null when the annotation is absent or unreadable.
Json last_applied(const Json& live);
bool live_annotation(const Json& live);

// --validate, and its value as the parameter fieldValidation.
FlagSpec validate_flag();
std::string field_validation(const Arguments& arguments);
// "apps/v1, Resource=deployments"; "/v1, Resource=pods".
std::string gvr_text(const ApiResource& resource);

}  // namespace moth::ctl
