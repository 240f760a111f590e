#pragma once
// Field ownership as requests see it: metadata.managedFields of every write, and server-side apply.
// Between api/apply, which knows types and field sets, and the pipeline, which knows requests. Pure
// but for the registry; control thread.
#include <string_view>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/resources/registry.h"
#include "api/server/pipeline.h"
#include "api/server/request_context.h"

namespace moth::server {

// Invalid, with upstream's text, for a fieldManager or force that does not go with the sort of
// write. `options`: PatchOptions, CreateOptions or UpdateOptions.
Result<> check_field_manager(const RequestContext& context, std::string_view options, bool apply);

// The managedFields of an object that is being created; `object` is in the version of the target
// and defaulted. `sent`: what the client put there, or null.
Json managed_of_new(const resources::Registry& registry, const Target& target, const Json& object,
                    const Json* sent, const RequestContext& context, WallTime now);

// Puts managedFields into `merged`, a stored object made of `old` by a write to the target. `live`:
// those of `old`, or null; `sent` as above, after an apply the result already.
void track_change(const resources::Registry& registry, const Target& target, const Json& old,
                  Json live, Json& merged, const Json* sent, const RequestContext& context,
                  WallTime now);
// Those of a stored object; null when it has none. `lazy`: for track_change() after writes that are
// no apply.
Json managed_fields_of(const Object& object, bool lazy);

// What an apply configuration must be, whether or not there is an object yet: its kind, version,
// name and namespace, and fields that the schema has. Before it is decoded.
Result<> check_apply_config(const Target& target, const Json& config);
// Nulls that decoding drops say that the manager wants the default.
void restore_nulls(const Json& raw, Json& decoded);

// `config`, checked and decoded, applied to `live` (in the version of the target; an empty object
// when there is none yet), managedFields included.
Result<Json> apply_to(const resources::Registry& registry, const Target& target, const Json& live,
                      const Json& config, const RequestContext& context, WallTime now);

// A Scale that is applied, as a configuration of its parent.
Result<Json> scale_to_parent_config(const Target& target, const Json& scale);

}  // namespace moth::server
