#pragma once
// The rows of admissionregistration.k8s.io/v1.
#include "api/resources/registry.h"

namespace moth::resources {

ResourceDef mutating_admission_policies();
ResourceDef mutating_admission_policy_bindings();
ResourceDef mutating_webhook_configurations();
ResourceDef validating_admission_policies();
ResourceDef validating_admission_policy_bindings();
ResourceDef validating_webhook_configurations();

}  // namespace moth::resources
