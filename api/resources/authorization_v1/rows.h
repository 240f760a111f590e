#pragma once
// The rows of authorization.k8s.io/v1. None of them is stored: a create is answered.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef local_subject_access_reviews();
ResourceDef self_subject_access_reviews();
// A review without a namespace is refused by whoever answers it (400, no field error).
ResourceDef self_subject_rules_reviews();
ResourceDef subject_access_reviews();

}  // namespace moth::resources
