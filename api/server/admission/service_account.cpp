// ServiceAccount: which account a pod runs as, its pull secrets, and the volume with its token.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

using resources::ResourceDef;

constexpr const char* kMountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr std::string_view kVolumePrefix = "kube-api-access-";
// The server gives tokens of just this life a year's grace, for programs that read the file once.
constexpr int kTokenSeconds = 3607;

Json token_volume(const std::string& name) {
  Json sources = Json::array();
  sources.push_back(
      {{"serviceAccountToken", {{"expirationSeconds", kTokenSeconds}, {"path", "token"}}}});
  sources.push_back({{"configMap",
                      {{"name", "kube-root-ca.crt"},
                       {"items", Json::array({{{"key", "ca.crt"}, {"path", "ca.crt"}}})}}}});
  sources.push_back(
      {{"downwardAPI",
        {{"items",
          Json::array(
              {{{"path", "namespace"},
                {"fieldRef", {{"apiVersion", "v1"}, {"fieldPath", "metadata.namespace"}}}}})}}}});
  return {{"name", name}, {"projected", {{"defaultMode", 0644}, {"sources", std::move(sources)}}}};
}

// The pod's word counts before the account's; without either the token is mounted.
bool wants_token(const Json& spec, const Json& account) {
  constexpr const char* kField = "automountServiceAccountToken";
  for (const Json* object : {&spec, &account}) {
    const Json* wish = find_member(*object, kField);
    if (wish && wish->is_boolean()) return wish->get<bool>();
  }
  return true;
}

class ServiceAccount final : public Admission {
 public:
  ServiceAccount(Storage& storage, const resources::Registry& registry)
      : storage_(storage),
        accounts_(registry.find("", "v1", "serviceaccounts")),
        random_(system_random()) {}
  std::string_view name() const override { return "ServiceAccount"; }

  Result<> mutate(const AdmissionRequest& request, Json& pod) override {
    if (!is_pod_create(request)) return {};
    Json& spec = pod["spec"];
    std::string account = string_or(spec, "serviceAccountName", string_or(spec, "serviceAccount"));
    if (account.empty()) account = "default";
    spec["serviceAccountName"] = account;
    spec["serviceAccount"] = account;
    ObjectPtr object = storage_.latest(*accounts_, request.ns, account);
    // The controller makes "default" right after the namespace; a pod need not wait for that.
    if (!object && account != "default") {
      return refuse(request, fmt::format("error looking up service account {}/{}: serviceaccount "
                                         "\"{}\" not found",
                                         request.ns, account, account));
    }
    const Json parsed = object ? object->parse() : Json::object();
    const Json* secrets = find_member(parsed, "imagePullSecrets");
    if (secrets && !secrets->empty() && !spec.contains("imagePullSecrets"))
      spec["imagePullSecrets"] = *secrets;
    if (wants_token(spec, parsed)) mount_token(spec);
    return {};
  }

 private:
  void mount_token(Json& spec) const {
    std::string volume;
    if (const Json* volumes = find_member(spec, "volumes"); volumes && volumes->is_array()) {
      for (const Json& candidate : *volumes) {
        std::string name = string_or(candidate, "name");
        if (name.starts_with(kVolumePrefix)) volume = std::move(name);
      }
    }
    const bool there = !volume.empty();
    if (!there) volume = std::string(kVolumePrefix) + random_suffix(5, random_);
    bool needed = false;
    for (const char* field : {"initContainers", "containers"}) {
      auto containers = spec.find(field);
      if (containers == spec.end() || !containers->is_array()) continue;
      for (Json& container : *containers) needed = mount_in(container, volume) || needed;
    }
    if (there || !needed) return;
    Json& volumes = spec["volumes"];
    if (!volumes.is_array()) volumes = Json::array();
    volumes.push_back(token_volume(volume));
  }

  // False when the container has something at that place already.
  static bool mount_in(Json& container, const std::string& volume) {
    Json& mounts = container["volumeMounts"];
    if (!mounts.is_array()) mounts = Json::array();
    for (const Json& mount : mounts) {
      if (string_or(mount, "mountPath") == kMountPath) return false;
    }
    mounts.push_back({{"name", volume}, {"readOnly", true}, {"mountPath", kMountPath}});
    return true;
  }

  Storage& storage_;
  const ResourceDef* accounts_;
  RandomSource random_;
};

}  // namespace

std::unique_ptr<Admission> make_service_account(Storage& storage,
                                                const resources::Registry& registry) {
  return std::make_unique<ServiceAccount>(storage, registry);
}

}  // namespace moth::server
