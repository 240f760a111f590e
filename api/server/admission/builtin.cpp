#include "api/server/admission/builtin.h"

#include <fmt/format.h>

#include <array>

#include "api/base/json.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

using resources::ResourceDef;

class NamespaceLifecycle final : public Admission {
 public:
  NamespaceLifecycle(Storage& storage, const resources::Registry& registry)
      : storage_(storage), namespaces_(registry.find("", "v1", "namespaces")) {}
  std::string_view name() const override { return "NamespaceLifecycle"; }

  Result<> validate(const AdmissionRequest& request, const Json&) override {
    if (request.operation == Operation::kDelete && request.def.resource == "namespaces" &&
        request.def.group.empty()) {
      return check_delete(request);
    }
    if (request.operation != Operation::kCreate || !request.def.namespaced) return {};
    ObjectPtr ns = storage_.latest(*namespaces_, "", request.ns);
    if (!ns) return fail(Error::not_found("namespaces", request.ns));
    if (!ns->meta().deletion_time) return {};
    Error error = Error::forbidden(
        request.def.qualified(), request.name,
        fmt::format("unable to create new content in namespace {} because it is being terminated",
                    request.ns));
    error.causes.push_back({"NamespaceTerminating",
                            fmt::format("namespace {} is being terminated", request.ns),
                            "metadata.namespace"});
    return fail(std::move(error));
  }

 private:
  static Result<> check_delete(const AdmissionRequest& request) {
    static constexpr std::array<std::string_view, 3> kProtected = {"default", "kube-system",
                                                                   "kube-public"};
    for (std::string_view ns : kProtected) {
      if (request.name == ns) {
        return fail(
            Error::forbidden("namespaces", request.name, "this namespace may not be deleted"));
      }
    }
    return {};
  }

  Storage& storage_;
  const ResourceDef* namespaces_;
};

class Priority final : public Admission {
 public:
  Priority(Storage& storage, const resources::Registry& registry)
      : storage_(storage), classes_(registry.find("scheduling.k8s.io", "v1", "priorityclasses")) {}
  std::string_view name() const override { return "Priority"; }

  Result<> mutate(const AdmissionRequest& request, Json& pod) override {
    if (!is_pod_create(request)) return {};
    Json& spec = pod["spec"];
    std::string wanted = string_or(spec, "priorityClassName");
    std::int64_t value = 0;
    std::string preemption = "PreemptLowerPriority";
    if (wanted == "system-cluster-critical") {
      value = 2'000'000'000;
    } else if (wanted == "system-node-critical") {
      value = 2'000'001'000;
    } else if (ObjectPtr found = find(wanted)) {
      const Json parsed = found->parse();
      value = int_or(parsed, "value");
      preemption = string_or(parsed, "preemptionPolicy", preemption);
      if (wanted.empty()) spec["priorityClassName"] = found->name();
    } else if (!wanted.empty()) {
      return fail(Error::forbidden("pods", request.name,
                                   fmt::format("no PriorityClass with name {} was found", wanted)));
    }
    if (const Json* given = find_member(spec, "priority"); given && *given != value) {
      return fail(
          Error::forbidden("pods", request.name,
                           fmt::format("the integer value of priority ({}) must not be provided in "
                                       "pod spec; priority admission "
                                       "controller computed {} from the given PriorityClass name",
                                       given->dump(), value)));
    }
    spec["priority"] = value;
    if (!spec.contains("preemptionPolicy")) spec["preemptionPolicy"] = preemption;
    return {};
  }

 private:
  // The class of that name, or the global default for "".
  ObjectPtr find(const std::string& name) const {
    if (!classes_) return nullptr;
    if (!name.empty()) return storage_.latest(*classes_, "", name);
    for (const ObjectPtr& object : storage_.list(*classes_, "").objects) {
      if (bool_or(object->parse(), "globalDefault")) return object;
    }
    return nullptr;
  }

  Storage& storage_;
  const ResourceDef* classes_;
};

class DefaultTolerationSeconds final : public Admission {
 public:
  std::string_view name() const override { return "DefaultTolerationSeconds"; }

  Result<> mutate(const AdmissionRequest& request, Json& pod) override {
    if (!is_pod_create(request)) return {};
    Json& tolerations = pod["spec"]["tolerations"];
    if (!tolerations.is_array()) tolerations = Json::array();
    for (const char* key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
      if (tolerated(tolerations, key)) continue;
      tolerations.push_back({{"key", key},
                             {"operator", "Exists"},
                             {"effect", "NoExecute"},
                             {"tolerationSeconds", 300}});
    }
    return {};
  }

 private:
  static bool tolerated(const Json& tolerations, std::string_view key) {
    for (const Json& toleration : tolerations) {
      std::string has_key = string_or(toleration, "key");
      std::string effect = string_or(toleration, "effect");
      bool key_fits =
          has_key == key || (has_key.empty() && string_or(toleration, "operator") == "Exists");
      if (key_fits && (effect.empty() || effect == "NoExecute")) return true;
    }
    return false;
  }
};

}  // namespace

std::unique_ptr<Admission> make_namespace_lifecycle(Storage& storage,
                                                    const resources::Registry& registry) {
  return std::make_unique<NamespaceLifecycle>(storage, registry);
}
std::unique_ptr<Admission> make_priority(Storage& storage, const resources::Registry& registry) {
  return std::make_unique<Priority>(storage, registry);
}
std::unique_ptr<Admission> make_default_toleration_seconds() {
  return std::make_unique<DefaultTolerationSeconds>();
}

}  // namespace moth::server
