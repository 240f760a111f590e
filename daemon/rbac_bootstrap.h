#pragma once
// The default roles and bindings in the store: made when they are missing, repaired when they lost
// something of what they come with. Control thread.
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/client/object_client.h"

namespace moth {

// At start. All writes share few commits. Objects with the annotation
// rbac.authorization.kubernetes.io/autoupdate=false stay as they are.
Task<Result<>> bootstrap_rbac(asio::any_io_executor control, const client::ObjectReader& reader,
                              client::ObjectClient& client);

}  // namespace moth
