#include "daemon/security.h"

#include "api/base/json.h"
#include "api/server/auth/certificate_admission.h"
#include "api/server/auth/rbac_admission.h"
#include "api/server/reviews.h"

namespace moth {
namespace {

Result<controllers::RequestedCertificate> inspect(const std::string& pem) {
  MOTH_ASSIGN(pki::CertificateInfo info, pki::inspect_csr(pem));
  return controllers::RequestedCertificate{info.common_name, info.organizations, info.dns_names,
                                           info.ip_addresses, info.has_other_names};
}

// A certificate that outlives its CA would fail without notice.
std::chrono::seconds life_left(const pki::KeyPair& ca, WallTime now) {
  auto info = pki::inspect(ca.certificate_pem);
  if (!info) return std::chrono::seconds(0);
  return std::chrono::duration_cast<std::chrono::seconds>(info->not_after - now);
}

server::UserInfo requester(const Json& spec) {
  server::UserInfo user{string_or(spec, "username"), string_or(spec, "uid"), {}};
  if (const Json* groups = find_member(spec, "groups"); groups && groups->is_array()) {
    for (const Json& group : *groups) {
      if (group.is_string()) user.groups.push_back(group.get<std::string>());
    }
  }
  return user;
}

}  // namespace

Security::Security(Executors& executors, Clock& clock, pki::Pki pki, std::string cluster_domain)
    : executors_(executors),
      clock_(clock),
      pki_(std::move(pki)),
      cluster_domain_(std::move(cluster_domain)),
      authorizer_(std::make_shared<server::Authorizer>()) {}

std::vector<std::unique_ptr<server::Admission>> Security::admission() const {
  std::vector<std::unique_ptr<server::Admission>> steps;
  steps.push_back(server::make_rbac_escalation_check(authorizer_));
  steps.push_back(server::make_certificate_admission(
      authorizer_, [](const std::string& pem) -> Result<std::vector<std::string>> {
        MOTH_ASSIGN(pki::CertificateInfo info, pki::inspect_csr(pem));
        return std::move(info.organizations);
      }));
  return steps;
}

Result<> Security::connect(server::Pipeline& pipeline, server::Authenticator authenticator) {
  auto key = server::jwt::PrivateKey::parse(pki_.service_account_key_pem);
  if (!key) return fail(key.error().with_context("pki/sa.key"));
  server::TokenOptions options;
  options.key = *std::move(key);
  options.issuer = "https://kubernetes.default.svc." + cluster_domain_;
  tokens_ = std::make_shared<server::ServiceAccountTokens>(executors_, clock_, pipeline.storage(),
                                                           pipeline.registry(), system_random(),
                                                           std::move(options));
  index_ = std::make_unique<server::rbac::RbacIndex>(
      pipeline.storage(), pipeline.registry(),
      [authorizer = authorizer_](std::shared_ptr<const server::rbac::RbacPolicy> policy) {
        authorizer->publish(std::move(policy));
      });
  server::answer_reviews(
      pipeline, {authorizer_,
                 std::make_shared<const server::Authenticator>(std::move(authenticator)), tokens_});
  return {};
}

ControlPlaneSecurity Security::for_controllers() const {
  ControlPlaneSecurity out;
  out.ca_pem = pki_.ca.certificate_pem;
  out.token_secrets.ca_pem = pki_.ca.certificate_pem;
  out.token_secrets.sign = [tokens = tokens_](const std::string& ns, const std::string& account,
                                              const std::string& uid, const std::string& secret) {
    return tokens->legacy_token(ns, account, uid, secret);
  };
  out.certificates.inspect = inspect;
  out.certificates.sign = [ca = pki_.ca, &clock = clock_](const std::string& pem,
                                                          const controllers::SigningUsages& usages,
                                                          std::chrono::seconds life) {
    pki::CertificateRequest request;
    request.server = usages.server;
    request.client = usages.client;
    request.digital_signature = usages.digital_signature;
    request.key_encipherment = usages.key_encipherment;
    request.lifetime = std::min(life, life_left(ca, clock.wall()));
    return pki::sign_csr(ca, pem, request, clock.wall());
  };
  out.certificates.not_after = [](const std::string& pem) -> Result<WallTime> {
    MOTH_ASSIGN(pki::CertificateInfo info, pki::inspect(pem));
    return info.not_after;
  };
  out.certificates.may_create = [authorizer = authorizer_](const Json& spec,
                                                           const std::string& subresource) {
    server::Attributes wanted;
    wanted.verb = "create";
    wanted.group = "certificates.k8s.io";
    wanted.version = "*";
    wanted.resource = "certificatesigningrequests";
    wanted.subresource = subresource;
    return authorizer->decide(requester(spec), wanted).allowed;
  };
  return out;
}

}  // namespace moth
