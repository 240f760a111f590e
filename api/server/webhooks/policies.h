#pragma once
// ValidatingAdmissionPolicy: rules in CEL, evaluated where the object is admitted. Control thread,
// synchronous.
#include <memory>

#include "api/server/admission/admission.h"
#include "api/server/storage.h"

namespace moth::server {

// Policies without a binding do nothing. Expressions that do not compile fail as failurePolicy
// says.
std::unique_ptr<Admission> make_validating_policies(Storage& storage,
                                                    const resources::Registry& registry);

}  // namespace moth::server
