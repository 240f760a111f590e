#pragma once
// What a DELETE does to an object: remove it, or mark it as terminating. Pure functions
// (k8s-behaviours sections 9 and 15).
#include <memory>
#include <optional>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/base/result.h"
#include "api/client/object_client.h"
#include "api/resources/registry.h"
#include "api/server/storage.h"

namespace moth::server {

struct DeletionPlan {
  bool remove = false;
  std::optional<Json> update;  // the object to store instead; absent: it is terminating already
};

// Conflict when a precondition does not hold; BadRequest for an unknown propagationPolicy.
Result<DeletionPlan> plan_deletion(const resources::ResourceDef& def, const Json& object,
                                   const client::DeleteOptions& options, WallTime now);

// True when an update leaves a terminating object that nothing holds any more.
bool released_by_update(const resources::ResourceDef& def, const Json& object);

// A staged write that stores nothing.
StagedWritePtr make_dry_run(ObjectPtr object);

}  // namespace moth::server
