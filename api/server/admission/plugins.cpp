// The one list of admission steps, in upstream's order.
#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "api/server/admission/builtin.h"

namespace moth::server {

const std::vector<std::string_view>& admission_plugin_names() {
  static const std::vector<std::string_view> kNames = {
      "AlwaysAdmit",
      "NamespaceAutoProvision",
      "NamespaceLifecycle",
      "NamespaceExists",
      "LimitPodHardAntiAffinityTopology",
      "LimitRanger",
      "ServiceAccount",
      "NodeRestriction",
      "TaintNodesByCondition",
      "AlwaysPullImages",
      "ImagePolicyWebhook",
      "PodSecurity",
      "PodNodeSelector",
      "PodTopologyLabels",
      "Priority",
      "DefaultTolerationSeconds",
      "PodTolerationRestriction",
      "EventRateLimit",
      "ExtendedResourceToleration",
      "PersistentVolumeClaimResize",
      "DefaultStorageClass",
      "StorageObjectInUseProtection",
      "OwnerReferencesPermissionEnforcement",
      "RuntimeClass",
      "CertificateApproval",
      "CertificateSigning",
      "ClusterTrustBundleAttest",
      "CertificateSubjectRestriction",
      "DefaultIngressClass",
      "DenyServiceExternalIPs",
      "MutatingAdmissionPolicy",
      "MutatingAdmissionWebhook",
      "ValidatingAdmissionPolicy",
      "ValidatingAdmissionWebhook",
      "ResourceQuota",
      "AlwaysDeny",
  };
  return kNames;
}

Result<> check_admission_plugins(const std::vector<std::string>& names) {
  const auto& known = admission_plugin_names();
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    return fail(Error::bad_request(
        fmt::format("--disable-admission-plugins: unknown plugin \"{}\"; known are {}", name,
                    fmt::join(known, ", "))));
  }
  return {};
}

Result<std::vector<std::unique_ptr<Admission>>> make_admission(Storage& storage,
                                                               const resources::Registry& registry,
                                                               const Clock& clock,
                                                               AdmissionOptions options) {
  MOTH_TRY(check_admission_plugins(options.disabled));
  std::vector<std::unique_ptr<Admission>> steps;
  // A step subscribes when it is made, so one that is off is not made at all.
  auto add = [&](std::string_view name, auto make) {
    const auto& off = options.disabled;
    if (std::find(off.begin(), off.end(), name) == off.end()) steps.push_back(make());
  };
  add("NamespaceLifecycle", [&] { return make_namespace_lifecycle(storage, registry); });
  add("LimitRanger", [&] { return make_limit_ranger(storage, registry); });
  add("ServiceAccount", [&] { return make_service_account(storage, registry); });
  add("PodSecurity", [&] { return make_pod_security(storage, registry); });
  add("Priority", [&] { return make_priority(storage, registry); });
  add("DefaultTolerationSeconds", [] { return make_default_toleration_seconds(); });
  add("DefaultStorageClass", [&] { return make_default_storage_class(storage, registry); });
  add("StorageObjectInUseProtection", [] { return make_storage_object_in_use_protection(); });
  add("RuntimeClass", [&] { return make_runtime_class(storage, registry); });
  add("DefaultIngressClass", [&] { return make_default_ingress_class(storage, registry); });
  for (auto& step : options.more) steps.push_back(std::move(step));
  add("ResourceQuota", [&] { return make_resource_quota(storage, registry, clock); });
  return steps;
}

}  // namespace moth::server
