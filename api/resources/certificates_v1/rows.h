#pragma once
// The rows of certificates.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

// spec.username, uid, groups and extra are the requester's: admission writes them.
ResourceDef certificate_signing_requests();

}  // namespace moth::resources
