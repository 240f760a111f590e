#pragma once
// The patch that client-side apply sends. What apply and diff share.
#include "api/base/json.h"
#include "api/schema/patch_schema.h"
#include "ctl/cli/context.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {

struct ApplyPatch {
  Json body;  // {}: nothing is to be changed
  client::PatchType type = client::PatchType::kStrategic;
};

// From what was applied last (the annotation of `live`) and `live` to `modified`. With `overwrite`
// false, Conflict where somebody else changed a field since.
Outcome<ApplyPatch> apply_patch(const schema::PatchSchemas& schemas, const ApiResource& resource,
                                const Json& modified, const Json& live, bool overwrite);

}  // namespace moth::ctl
