#pragma once
// What webhooks agreed to, on its way into the store. Part of Pipeline.
#include "api/base/json.h"
#include "api/server/pipeline.h"

namespace moth::server {

struct Pipeline::Approval {
  const Json object;
  bool stale = false;  // the built-in steps now make something else of it
};

}  // namespace moth::server
