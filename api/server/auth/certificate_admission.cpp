#include "api/server/auth/certificate_admission.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/schema/base64.h"

namespace moth::server {
namespace {

std::string signer_of(const Json& csr) {
  const Json* spec = find_member(csr, "spec");
  return spec ? string_or(*spec, "signerName") : "";
}

class CertificateAdmission final : public Admission {
 public:
  CertificateAdmission(std::shared_ptr<const Authorizer> authorizer,
                       OrganizationsOf organizations_of)
      : authorizer_(std::move(authorizer)), organizations_of_(std::move(organizations_of)) {}
  std::string_view name() const override { return "CertificateApproval"; }

  Result<> mutate(const AdmissionRequest& request, Json& csr) override {
    if (!concerns(request) || request.operation != Operation::kCreate) return {};
    const UserInfo& user = request.context.user;
    Json& spec = csr["spec"];
    spec["username"] = user.name;
    for (const char* field : {"uid", "groups", "extra"}) spec.erase(field);
    if (!user.uid.empty()) spec["uid"] = user.uid;
    if (!user.groups.empty()) spec["groups"] = user.groups;
    if (!user.extra.empty()) spec["extra"] = user.extra;
    return {};
  }

  Result<> validate(const AdmissionRequest& request, const Json& csr) override {
    if (!concerns(request)) return {};
    if (request.operation == Operation::kCreate) return check_subject(request, csr);
    if (request.operation != Operation::kUpdate || !request.old) return {};
    const std::string signer = signer_of(*request.old);
    if (request.subresource == "approval" && !may(request, "approve", signer)) {
      return refuse(request, fmt::format("user not permitted to approve requests with signerName "
                                         "\"{}\"",
                                         signer));
    }
    if (request.subresource == "status" && changes_outcome(csr, *request.old) &&
        !may(request, "sign", signer)) {
      return refuse(
          request,
          fmt::format("user not permitted to sign requests with signerName \"{}\"", signer));
    }
    return {};
  }

 private:
  static bool concerns(const AdmissionRequest& request) {
    return request.def.group == "certificates.k8s.io" &&
           request.def.resource == "certificatesigningrequests";
  }

  static tl::unexpected<Error> refuse(const AdmissionRequest& request, std::string_view why) {
    return fail(Error::forbidden(request.def.qualified(), request.name, why));
  }

  static bool changes_outcome(const Json& csr, const Json& old) {
    for (const char* field : {"certificate", "conditions"}) {
      const Json* now = find_path(csr, "status", field);
      const Json* before = find_path(old, "status", field);
      if ((now == nullptr) != (before == nullptr) || (now && *now != *before)) return true;
    }
    return false;
  }

  // On the signer itself, or on all of its domain.
  bool may(const AdmissionRequest& request, const char* verb, const std::string& signer) const {
    Attributes wanted;
    wanted.verb = verb;
    wanted.group = request.def.group;
    wanted.version = "*";
    wanted.resource = "signers";
    wanted.name = signer;
    if (authorizer_->decide(request.context.user, wanted).allowed) return true;
    wanted.name = signer.substr(0, signer.find('/')) + "/*";
    return authorizer_->decide(request.context.user, wanted).allowed;
  }

  Result<> check_subject(const AdmissionRequest& request, const Json& csr) const {
    constexpr const char* kSigner = "kubernetes.io/kube-apiserver-client";
    if (signer_of(csr) != kSigner) return {};
    const Json* text = find_path(csr, "spec", "request");
    if (!text || !text->is_string()) return {};
    auto pem = schema::decode_base64(text->get_ref<const std::string&>());
    auto organizations = organizations_of_(pem.value_or(""));
    // What does not parse is validation's to refuse.
    if (!organizations) return {};
    if (std::find(organizations->begin(), organizations->end(), "system:masters") ==
        organizations->end())
      return {};
    return refuse(
        request, fmt::format("use of {} signer with system:masters group is not allowed", kSigner));
  }

  std::shared_ptr<const Authorizer> authorizer_;
  OrganizationsOf organizations_of_;
};

}  // namespace

std::unique_ptr<Admission> make_certificate_admission(std::shared_ptr<const Authorizer> authorizer,
                                                      OrganizationsOf organizations_of) {
  return std::make_unique<CertificateAdmission>(std::move(authorizer), std::move(organizations_of));
}

}  // namespace moth::server
