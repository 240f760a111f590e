#pragma once
// `auth reconcile`, and what it decides. The deciding is pure.
#include "api/base/json.h"
#include "ctl/cli/command.h"

namespace moth::ctl {

// The rules of a role so that they grant all that `wanted` does; with `remove_extra` they become
// `wanted` when they grant more.
Json reconciled_rules(const Json& present, const Json& wanted, bool remove_extra);
// The same of a binding's subjects.
Json reconciled_subjects(const Json& present, const Json& wanted, bool remove_extra);

Command auth_reconcile_command();

}  // namespace moth::ctl
