// PodSecurity: enforces on pods, warns about templates, and about running pods when a namespace
// asks for more. Nothing is exempt but what has no label, as in an unconfigured cluster.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "api/resources/edit.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/pod_security_policy.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

namespace ps = pod_security;

// Running pods are looked at until so many [upstream: 3000, and a second].
constexpr std::size_t kMaxPodsLookedAt = 3000;

// Where a kind keeps its pod template; null: it has none.
const Json* template_of(const AdmissionRequest& request, const Json& object) {
  const std::string& resource = request.def.resource;
  const std::string& group = request.def.group;
  if (group.empty() && resource == "podtemplates") return find_member(object, "template");
  bool plain = (group == "apps" && (resource == "deployments" || resource == "replicasets" ||
                                    resource == "statefulsets" || resource == "daemonsets")) ||
               (group == "batch" && resource == "jobs") ||
               (group.empty() && resource == "replicationcontrollers");
  if (plain) return find_path(object, "spec", "template");
  if (group == "batch" && resource == "cronjobs")
    return find_path(object, "spec", "jobTemplate", "spec", "template");
  return nullptr;
}

// Whether an update can change the verdict: another image, ephemeral containers, or profiles that
// are set by annotation. Everything else of a pod's spec that matters is immutable.
bool changes_much(const Json& pod, const Json& old) {
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"}) {
    const Json& now = resources::items(resources::object_of(pod, "spec"), list);
    const Json& before = resources::items(resources::object_of(old, "spec"), list);
    if (now.size() != before.size()) return true;
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (string_or(now[i], "image") != string_or(before[i], "image")) return true;
    }
  }
  return resources::object_of(resources::object_of(pod, "metadata"), "annotations") !=
         resources::object_of(resources::object_of(old, "metadata"), "annotations");
}

class PodSecurity final : public Admission {
 public:
  PodSecurity(Storage& storage, const resources::Registry& registry)
      : storage_(storage),
        namespaces_(registry.find("", "v1", "namespaces")),
        pods_(registry.find("", "v1", "pods")) {}
  std::string_view name() const override { return "PodSecurity"; }

  Result<> validate(const AdmissionRequest& request, const Json& object) override {
    if (request.operation != Operation::kCreate && request.operation != Operation::kUpdate)
      return {};
    if (is_resource(request, "", "namespaces") && request.subresource.empty())
      return check_namespace(request, object);
    if (is_resource(request, "", "pods")) return check_pod(request, object);
    if (request.subresource.empty()) warn_about_template(request, object);
    return {};
  }

 private:
  ps::Policy policy_in(const std::string& ns) const {
    ObjectPtr found = storage_.latest(*namespaces_, "", ns);
    return found ? ps::policy_of(found->meta().labels) : ps::Policy();
  }

  Result<> check_pod(const AdmissionRequest& request, const Json& pod) const {
    if (!request.subresource.empty() && request.subresource != "ephemeralcontainers") return {};
    ps::Policy policy = policy_in(request.ns);
    if (policy.fully_privileged()) return {};
    if (request.old && !changes_much(pod, *request.old)) return {};
    const Json& metadata = resources::object_of(pod, "metadata");
    const Json& spec = resources::object_of(pod, "spec");
    auto enforced = ps::evaluate(policy.enforce, metadata, spec);
    if (!enforced.empty()) {
      return refuse(request, fmt::format("violates PodSecurity \"{}\": {}",
                                         policy.enforce.to_string(), ps::details(enforced)));
    }
    warn(request, policy.warn, metadata, spec);
    return {};
  }

  void warn_about_template(const AdmissionRequest& request, const Json& object) const {
    const Json* pod = template_of(request, object);
    if (!pod) return;
    ps::Policy policy = policy_in(request.ns);
    if (policy.warn.level == ps::Level::kPrivileged) return;
    if (request.old) {
      const Json* before = template_of(request, *request.old);
      if (before && *before == *pod) return;
    }
    warn(request, policy.warn, resources::object_of(*pod, "metadata"),
         resources::object_of(*pod, "spec"));
  }

  static void warn(const AdmissionRequest& request, const ps::LevelVersion& policy,
                   const Json& metadata, const Json& spec) {
    auto found = ps::evaluate(policy, metadata, spec);
    if (found.empty()) return;
    request.context.warnings.push_back(fmt::format("would violate PodSecurity \"{}\": {}",
                                                   policy.to_string(), ps::details(found)));
  }

  Result<> check_namespace(const AdmissionRequest& request, const Json& object) const {
    FieldErrors errors, old_errors;
    Labels labels = labels_of(object);
    ps::Policy policy = ps::policy_of(labels, &errors);
    ps::Policy before;
    if (request.old) before = ps::policy_of(labels_of(*request.old), &old_errors);
    // What was wrong already does not keep others from changing the namespace.
    if (!errors.empty() && old_errors.empty()) {
      return fail(to_invalid_error("", "Namespace", request.name, errors));
    }
    if (!request.old || policy.enforce == before.enforce ||
        policy.enforce.level == ps::Level::kPrivileged)
      return {};
    bool looser =
        policy.enforce.minor == before.enforce.minor && policy.enforce.level < before.enforce.level;
    if (!looser) warn_about_running(request, policy.enforce);
    return {};
  }

  static Labels labels_of(const Json& object) {
    Labels labels;
    for (const auto& [key, value] :
         resources::object_of(resources::object_of(object, "metadata"), "labels").items()) {
      if (value.is_string()) labels.emplace(key, value.get<std::string>());
    }
    return labels;
  }

  // Pods of one controller are told once, with their number.
  void warn_about_running(const AdmissionRequest& request, const ps::LevelVersion& policy) const {
    struct Group {
      std::string first, reasons;
      int others = 0;
    };
    std::map<std::string, Group> by_owner;
    std::size_t looked_at = 0;
    for (const ObjectPtr& pod : storage_.list(*pods_, request.name).objects) {
      if (++looked_at > kMaxPodsLookedAt) break;
      const OwnerReference* owner = pod->meta().controller();
      std::string key = owner ? owner->uid : pod->uid();
      if (auto known = by_owner.find(key); known != by_owner.end()) {
        if (!known->second.reasons.empty()) ++known->second.others;
        continue;
      }
      const Json json = pod->parse();
      auto found = ps::evaluate(policy, resources::object_of(json, "metadata"),
                                resources::object_of(json, "spec"));
      by_owner[key] = {pod->name(), ps::reasons(found), 0};
    }
    std::vector<std::string> lines;
    for (const auto& [key, group] : by_owner) {
      if (group.reasons.empty()) continue;
      std::string others = group.others == 0   ? ""
                           : group.others == 1 ? " (and 1 other pod)"
                                               : fmt::format(" (and {} other pods)", group.others);
      lines.push_back(fmt::format("{}{}: {}", group.first, others, group.reasons));
    }
    if (lines.empty()) return;
    std::sort(lines.begin(), lines.end());
    auto& warnings = request.context.warnings;
    warnings.push_back(
        fmt::format("existing pods in namespace \"{}\" violate the new PodSecurity enforce level "
                    "\"{}\"",
                    request.name, policy.to_string()));
    warnings.insert(warnings.end(), lines.begin(), lines.end());
  }

  Storage& storage_;
  const resources::ResourceDef* namespaces_;
  const resources::ResourceDef* pods_;
};

}  // namespace

std::unique_ptr<Admission> make_pod_security(Storage& storage,
                                             const resources::Registry& registry) {
  return std::make_unique<PodSecurity>(storage, registry);
}

}  // namespace moth::server
