#pragma once
// The built-in admission steps, by upstream's names and in upstream's order.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/server/admission/admission.h"
#include "api/server/storage.h"

namespace moth::server {

struct AdmissionOptions {
  // Upstream's names; those of plugins that moth has not are accepted too.
  std::vector<std::string> disabled;
  // Registers mutate() and the like of other parts, in front of ResourceQuota, which is last.
  std::vector<std::unique_ptr<Admission>> more;
};

// All of them but the disabled ones. BadRequest for an unknown name in `disabled`, with the list.
Result<std::vector<std::unique_ptr<Admission>>> make_admission(Storage& storage,
                                                               const resources::Registry& registry,
                                                               const Clock& clock,
                                                               AdmissionOptions options = {});
// Every name that --disable-admission-plugins knows, in upstream's order.
const std::vector<std::string_view>& admission_plugin_names();
Result<> check_admission_plugins(const std::vector<std::string>& names);

// No creates in absent (404) or terminating (403) namespaces; the system namespaces stay.
std::unique_ptr<Admission> make_namespace_lifecycle(Storage& storage,
                                                    const resources::Registry& registry);
// Defaults, minima, maxima and ratios of LimitRanges for containers, pods and claims.
std::unique_ptr<Admission> make_limit_ranger(Storage& storage, const resources::Registry& registry);
// Fills in spec.serviceAccountName, copies the account's imagePullSecrets and mounts its token
// unless pod or account say no. Forbidden when a pod names an account that is not there.
std::unique_ptr<Admission> make_service_account(Storage& storage,
                                                const resources::Registry& registry);
// The Pod Security Standards by labels of the namespace: refuses pods, warns about templates.
std::unique_ptr<Admission> make_pod_security(Storage& storage, const resources::Registry& registry);
// spec.priority from spec.priorityClassName (the two system classes are built in).
std::unique_ptr<Admission> make_priority(Storage& storage, const resources::Registry& registry);
// Tolerations of 300 s for not-ready and unreachable nodes.
std::unique_ptr<Admission> make_default_toleration_seconds();
// spec.storageClassName of claims that name none.
std::unique_ptr<Admission> make_default_storage_class(Storage& storage,
                                                      const resources::Registry& registry);
// The finalizers that keep claims and volumes while they are used.
std::unique_ptr<Admission> make_storage_object_in_use_protection();
// spec.overhead and scheduling of the RuntimeClass; Forbidden when there is no such class.
std::unique_ptr<Admission> make_runtime_class(Storage& storage,
                                              const resources::Registry& registry);
// spec.ingressClassName of ingresses that name none.
std::unique_ptr<Admission> make_default_ingress_class(Storage& storage,
                                                      const resources::Registry& registry);
// Refuses what a ResourceQuota does not allow. Exact among concurrent writers: what was staged
// counts before it is committed.
std::unique_ptr<Admission> make_resource_quota(Storage& storage,
                                               const resources::Registry& registry,
                                               const Clock& clock);

}  // namespace moth::server
