#pragma once
// The scale subresource: a Scale object over the replica fields that a ResourceDef names.
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/resources/registry.h"
#include "api/server/pipeline.h"

namespace moth::server {

Result<Json> read_scale(const resources::ResourceDef& def, const Json& object);
// Sets the parent's replicas from a Scale and answers with the new Scale.
Task<Result<WriteResult>> write_scale(Pipeline& pipeline, Target target, Json scale,
                                      RequestContext& context);

}  // namespace moth::server
