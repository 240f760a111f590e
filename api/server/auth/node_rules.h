#pragma once
// What a node (user system:node:NAME in the group system:nodes) may do, as upstream's node
// authorizer and NodeRestriction have it, in short: the rules of system:node; of Secrets,
// ConfigMaps, claims and tokens none, since nodes of another machine have no pods here; its own
// Node and Lease. moth's own node works inside the daemon and asks nobody. Pure, any thread.
#include "api/server/auth/authorizer.h"

namespace moth::server {

Verdict node_verdict(const UserInfo& user, const Attributes& attributes);

}  // namespace moth::server
