#pragma once
// Making patches: what a client sends so that a live object becomes what its user wrote. Pure
// functions. `original` is the last-applied configuration (null: none), `modified` what is wanted
// now, `current` the live object.
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/patch_strategic.h"

namespace moth {

// The strategic patch from `original` to `modified` (edit, set image, ...); `{}` when equal.
Result<Json> two_way_strategic_patch(const Json& original, const Json& modified,
                                     const PatchSchema& schema);

// Additions and changes from `current` to `modified`, deletions from `original` to `modified`. `{}`
// when nothing is to be done. Conflict when `overwrite` is false and somebody else changed a field
// that the patch sets; BadRequest when apiVersion, kind or metadata.name would change.
Result<Json> three_way_strategic_patch(const Json& original, const Json& modified,
                                       const Json& current, const PatchSchema& schema,
                                       bool overwrite = true);
// The same as a merge patch, for types whose schema is not known (custom resources).
Result<Json> three_way_merge_patch(const Json& original, const Json& modified, const Json& current);

}  // namespace moth
