// A certificate signing request says who asked for it. Whatever the client wrote there is replaced.
#include "api/server/admission/builtin.h"
#include "api/server/admission/step.h"

namespace moth::server {
namespace {

class CertificateRequester : public Admission {
 public:
  std::string_view name() const override { return "CertificateRequester"; }

  Result<> mutate(const AdmissionRequest& request, Json& object) override {
    if (request.operation != Operation::kCreate || !request.subresource.empty() ||
        !is_resource(request, "certificates.k8s.io", "certificatesigningrequests")) {
      return {};
    }
    Json& spec = object["spec"];
    if (!spec.is_object()) spec = Json::object();
    const UserInfo& user = request.context.user;
    set(spec, "username", user.name);
    set(spec, "uid", user.uid);
    set(spec, "groups", user.groups);
    set(spec, "extra", user.extra);
    return {};
  }

 private:
  template <class T>
  static void set(Json& spec, const char* key, const T& value) {
    if (value.empty()) {
      spec.erase(key);
    } else {
      spec[key] = value;
    }
  }
};

}  // namespace

std::unique_ptr<Admission> make_certificate_requester() {
  return std::make_unique<CertificateRequester>();
}

}  // namespace moth::server
