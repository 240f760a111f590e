#pragma once
// Admission of certificate signing requests: who asked is written into them; approving and signing
// need the verbs approve and sign on the signer; nobody asks for a certificate of system:masters.
// Upstream's CertificateApproval, CertificateSigning and CertificateSubjectRestriction. Control.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/server/admission/admission.h"
#include "api/server/auth/authorizer.h"

namespace moth::server {

// The organizations in a PKCS#10 request (PEM); an error when it does not parse.
using OrganizationsOf = std::function<Result<std::vector<std::string>>(const std::string& pem)>;

std::unique_ptr<Admission> make_certificate_admission(std::shared_ptr<const Authorizer> authorizer,
                                                      OrganizationsOf organizations_of);

}  // namespace moth::server
