#pragma once
// --overrides and --override-type of run and expose.
#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

std::vector<FlagSpec> override_flags();
// `object` with --overrides merged in as --override-type says: merge, strategic or json.
Outcome<Json> overridden(const Arguments& arguments, Json object);

}  // namespace moth::ctl
