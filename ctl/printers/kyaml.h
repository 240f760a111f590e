#pragma once
// KYAML: the strict dialect of YAML that kubectl 1.34 and later write with -o kyaml: braces,
// quoted strings, a comma behind everything. Pure.
#include <string>

#include "api/base/json_fwd.h"

namespace moth::ctl {

// One document with its "---" line and a newline at the end.
std::string to_kyaml(const Json& value);

}  // namespace moth::ctl
