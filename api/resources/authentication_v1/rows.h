#pragma once
// The rows of authentication.k8s.io/v1. None of them is stored: a create is answered.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef self_subject_reviews();
// A review without a token is refused by whoever answers it (400, no field error).
ResourceDef token_reviews();

// What serviceaccounts/token takes and answers. Not a resource of its own, so in no registry.
ResourceDef token_requests();

}  // namespace moth::resources
