#pragma once
// JSON Merge Patch (RFC 7386). Pure functions.
#include "api/base/json_fwd.h"

namespace moth {

// Members of `patch` replace those of `document`, null removes, objects merge.
Json apply_merge_patch(Json document, const Json& patch);
// The smallest merge patch that turns `original` into `modified`; `{}` when they are equal. Null
// members of `modified` count as absent.
Json create_merge_patch(const Json& original, const Json& modified);

}  // namespace moth
