#pragma once
// Certificate signing requests: approves what nodes ask for themselves, signs what was approved for
// the API server's own signers, and cleans old requests away.
#include <functional>
#include <memory>
#include <string>

#include "daemon/controllers/certificates/certificates_plan.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

struct CertificateOptions {
  // Reads a PKCS#10 request in PEM. Control, short.
  std::function<Result<RequestedCertificate>(const std::string& csr_pem)> inspect;
  // The certificate in PEM. Control, short.
  std::function<Result<std::string>(const std::string& csr_pem, const SigningUsages& usages,
                                    std::chrono::seconds life)>
      sign;
  // The end of a certificate in PEM.
  std::function<Result<WallTime>(const std::string& certificate_pem)> not_after;
  // Whether the requester of a csr (its spec) may create certificatesigningrequests/SUBRESOURCE.
  std::function<bool(const Json& spec, const std::string& subresource)> may_create;
};
std::unique_ptr<Controller> make_certificates_controller(ControllerContext context,
                                                         CertificateOptions options);

}  // namespace moth::controllers
