#pragma once
// Who may do what. system:masters may do everything; every authenticated user reads discovery,
// version and health; the anonymous read health and version. Roles come with RBAC: until then
// everybody else is refused. Pure; any thread.
#include "api/base/result.h"
#include "api/server/request_context.h"

namespace moth::server {

Result<> authorize(const UserInfo& user, const RequestInfo& info);

}  // namespace moth::server
