#pragma once
// Nobody grants what he does not hold: writes of roles need their rules or the verb escalate,
// writes of bindings the rules of the bound role or the verb bind. Upstream checks this where the
// objects are stored; here it is a step of admission, so that it sees every write. Control thread.
#include <memory>

#include "api/server/admission/admission.h"
#include "api/server/auth/authorizer.h"

namespace moth::server {

std::unique_ptr<Admission> make_rbac_escalation_check(std::shared_ptr<const Authorizer> authorizer);

}  // namespace moth::server
