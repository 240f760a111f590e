// DefaultStorageClass, StorageObjectInUseProtection and DefaultIngressClass.
#include <fmt/format.h>

#include <algorithm>

#include "api/resources/edit.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

bool is_create(const AdmissionRequest& request) {
  return request.operation == Operation::kCreate && request.subresource.empty();
}

// Of several defaults the newest, and of those of one second the first by name [upstream].
ObjectPtr newest_default(Storage& storage, const resources::ResourceDef& def,
                         std::initializer_list<const char*> annotations) {
  ObjectPtr best;
  for (const ObjectPtr& object : storage.list(def, "").objects) {
    bool wanted = std::any_of(annotations.begin(), annotations.end(), [&](const char* key) {
      return object->meta().annotation(key) == "true";
    });
    if (!wanted) continue;
    if (!best || object->meta().created > best->meta().created) best = object;
  }
  return best;
}

class DefaultStorageClass final : public Admission {
 public:
  DefaultStorageClass(Storage& storage, const resources::Registry& registry)
      : storage_(storage), classes_(registry.find("storage.k8s.io", "v1", "storageclasses")) {}
  std::string_view name() const override { return "DefaultStorageClass"; }

  Result<> mutate(const AdmissionRequest& request, Json& claim) override {
    if (!classes_ || !is_create(request) || !is_resource(request, "", "persistentvolumeclaims"))
      return {};
    // An empty text is a wish, too: no class.
    if (resources::has(claim["spec"], "storageClassName")) return {};
    if (find_path(claim, "metadata", "annotations", "volume.beta.kubernetes.io/storage-class"))
      return {};
    ObjectPtr chosen = newest_default(storage_, *classes_,
                                      {"storageclass.kubernetes.io/is-default-class",
                                       "storageclass.beta.kubernetes.io/is-default-class"});
    if (chosen) claim["spec"]["storageClassName"] = chosen->name();
    return {};
  }

 private:
  Storage& storage_;
  const resources::ResourceDef* classes_;
};

class StorageObjectInUseProtection final : public Admission {
 public:
  std::string_view name() const override { return "StorageObjectInUseProtection"; }

  Result<> mutate(const AdmissionRequest& request, Json& object) override {
    if (!is_create(request) || !request.def.group.empty()) return {};
    const char* finalizer =
        request.def.resource == "persistentvolumeclaims" ? "kubernetes.io/pvc-protection"
        : request.def.resource == "persistentvolumes"    ? "kubernetes.io/pv-protection"
                                                         : nullptr;
    if (!finalizer) return {};
    Json& finalizers = object["metadata"]["finalizers"];
    if (!finalizers.is_array()) finalizers = Json::array();
    if (std::find(finalizers.begin(), finalizers.end(), Json(finalizer)) == finalizers.end())
      finalizers.push_back(finalizer);
    return {};
  }
};

class DefaultIngressClass final : public Admission {
 public:
  DefaultIngressClass(Storage& storage, const resources::Registry& registry)
      : storage_(storage), classes_(registry.find("networking.k8s.io", "v1", "ingressclasses")) {}
  std::string_view name() const override { return "DefaultIngressClass"; }

  Result<> mutate(const AdmissionRequest& request, Json& ingress) override {
    if (!classes_ || !is_create(request) || !is_resource(request, "networking.k8s.io", "ingresses"))
      return {};
    if (resources::has(ingress["spec"], "ingressClassName")) return {};
    if (find_path(ingress, "metadata", "annotations", "kubernetes.io/ingress.class")) return {};
    ObjectPtr chosen =
        newest_default(storage_, *classes_, {"ingressclass.kubernetes.io/is-default-class"});
    if (chosen) ingress["spec"]["ingressClassName"] = chosen->name();
    return {};
  }

 private:
  Storage& storage_;
  const resources::ResourceDef* classes_;
};

}  // namespace

std::unique_ptr<Admission> make_default_storage_class(Storage& storage,
                                                      const resources::Registry& registry) {
  return std::make_unique<DefaultStorageClass>(storage, registry);
}
std::unique_ptr<Admission> make_storage_object_in_use_protection() {
  return std::make_unique<StorageObjectInUseProtection>();
}
std::unique_ptr<Admission> make_default_ingress_class(Storage& storage,
                                                      const resources::Registry& registry) {
  return std::make_unique<DefaultIngressClass>(storage, registry);
}

}  // namespace moth::server
