#pragma once
// Subjects from flags: what bindings are created with and `set subject` adds. Pure.
#include <optional>
#include <string_view>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

// --user, --group, --serviceaccount.
std::vector<FlagSpec> subject_flags();
// A list of rbac subjects. BadRequest: a service account that is not NAMESPACE:NAME.
Outcome<Json> subjects_of(const Arguments& arguments);
// "a=b,c=d"; nothing when a part is no pair.
std::optional<Json> parse_pairs(std::string_view text);

}  // namespace moth::ctl
