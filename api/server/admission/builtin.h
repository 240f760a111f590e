#pragma once
// The admission steps that need nothing but reads of the store.
#include <memory>

#include "api/server/admission/admission.h"
#include "api/server/storage.h"

namespace moth::server {

// No creates in absent (404) or terminating (403) namespaces; the system namespaces stay.
std::unique_ptr<Admission> make_namespace_lifecycle(Storage& storage,
                                                    const resources::Registry& registry);
// Fills in spec.serviceAccountName and copies the account's imagePullSecrets. Forbidden when a pod
// names an account that is not there.
std::unique_ptr<Admission> make_service_account(Storage& storage,
                                                const resources::Registry& registry);
// spec.priority from spec.priorityClassName (the two system classes are built in).
std::unique_ptr<Admission> make_priority(Storage& storage, const resources::Registry& registry);
// Refuses pods of a spec.runtimeClassName: there are no RuntimeClasses yet.
std::unique_ptr<Admission> make_runtime_class();
// Tolerations of 300 s for not-ready and unreachable nodes.
std::unique_ptr<Admission> make_default_toleration_seconds();

}  // namespace moth::server
