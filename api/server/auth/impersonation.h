#pragma once
// Acting as somebody else by the headers Impersonate-User, -Uid, -Group and -Extra-*. Pure but for
// the authorizer; any thread.
#include "api/base/result.h"
#include "api/http/message.h"
#include "api/server/auth/authorizer.h"

namespace moth::server {

// `user`, or whom the request acts as. Forbidden (403) when `user` lacks the verb impersonate on
// one of users, groups, uids, userextras or serviceaccounts that are asked for; InternalError, as
// upstream answers it, for groups, extras or a uid without a user.
Result<UserInfo> impersonate(const Authorizer& authorizer, UserInfo user,
                             const http::Request& request);

}  // namespace moth::server
