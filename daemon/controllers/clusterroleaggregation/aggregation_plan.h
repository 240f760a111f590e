#pragma once
// Which rules an aggregated ClusterRole should have. Pure; control thread (views and DOMs).
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/object.h"

namespace moth::controllers {

// The rules of all roles that one of its selectors picks, without those of `role` itself: selector
// by selector, roles by name, each rule once.
Json aggregated_rules(const Object& role, const std::vector<ObjectPtr>& roles);

}  // namespace moth::controllers
