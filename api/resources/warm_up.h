#pragma once
// Work that a write will need, that takes longer than the control thread may be held, and that can
// be done ahead: whoever takes in a body has it done on the blocking executor first. Pure but for
// what is remembered; any thread.
#include "api/base/json_fwd.h"
#include "api/resources/registry.h"

namespace moth::resources {

using WarmUp = void (*)(const Json& body);

// What to call with the body of a create, update, merge patch or apply of `def`; null: nothing.
WarmUp warm_up_of(const ResourceDef& def);

}  // namespace moth::resources
