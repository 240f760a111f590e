// RuntimeClass: overhead and scheduling of the class that a pod names.
#include <fmt/format.h>

#include <algorithm>

#include "api/resources/edit.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

class RuntimeClass final : public Admission {
 public:
  RuntimeClass(Storage& storage, const resources::Registry& registry)
      : storage_(storage), classes_(registry.find("node.k8s.io", "v1", "runtimeclasses")) {}
  std::string_view name() const override { return "RuntimeClass"; }

  Result<> mutate(const AdmissionRequest& request, Json& pod) override {
    if (!is_pod_create(request)) return {};
    MOTH_ASSIGN(ObjectPtr found, find(request, pod));
    if (!found) return {};
    const Json chosen = found->parse();
    if (const Json* overhead = find_path(chosen, "overhead", "podFixed")) {
      Json& spec = pod["spec"];
      if (resources::has(spec, "overhead") && spec["overhead"] != *overhead) {
        return refuse(request,
                      "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
      }
      spec["overhead"] = *overhead;
    }
    return add_scheduling(request, chosen, pod["spec"]);
  }

  Result<> validate(const AdmissionRequest& request, const Json& pod) override {
    if (!is_pod_create(request)) return {};
    MOTH_ASSIGN(ObjectPtr found, find(request, pod));
    const Json chosen = found ? found->parse() : Json::object();
    const Json* overhead = find_path(pod, "spec", "overhead");
    if (overhead && !overhead->empty() && !find_path(chosen, "overhead", "podFixed")) {
      return refuse(request,
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass "
                    "defined Overhead");
    }
    return {};
  }

 private:
  // Null when the pod names none.
  Result<ObjectPtr> find(const AdmissionRequest& request, const Json& pod) const {
    const Json* spec = find_member(pod, "spec");
    std::string wanted = spec ? string_or(*spec, "runtimeClassName") : "";
    if (wanted.empty()) return ObjectPtr();
    ObjectPtr found = classes_ ? storage_.latest(*classes_, "", wanted) : nullptr;
    if (!found) {
      return refuse(request, fmt::format("pod rejected: RuntimeClass \"{}\" not found", wanted));
    }
    return found;
  }

  static Result<> add_scheduling(const AdmissionRequest& request, const Json& chosen, Json& spec) {
    const Json* scheduling = find_member(chosen, "scheduling");
    if (!scheduling) return {};
    for (const auto& [key, value] : resources::object_of(*scheduling, "nodeSelector").items()) {
      Json& selector = resources::object_at(spec, "nodeSelector");
      if (selector.contains(key) && selector[key] != value) {
        return refuse(request,
                      fmt::format("conflict: runtimeClass.scheduling.nodeSelector[{0}] = {1}; "
                                  "pod.spec.nodeSelector[{0}] = {2}",
                                  key, value.get<std::string>(), selector[key].get<std::string>()));
      }
      selector[key] = value;
    }
    for (const Json& toleration : resources::items(*scheduling, "tolerations")) {
      Json& list = spec["tolerations"];
      if (!list.is_array()) list = Json::array();
      if (std::find(list.begin(), list.end(), toleration) == list.end()) list.push_back(toleration);
    }
    return {};
  }

  Storage& storage_;
  const resources::ResourceDef* classes_;
};

}  // namespace

std::unique_ptr<Admission> make_runtime_class(Storage& storage,
                                              const resources::Registry& registry) {
  return std::make_unique<RuntimeClass>(storage, registry);
}

}  // namespace moth::server
