#pragma once
// Security: authentication and authorization of the instance put together: the authorizer and what
// keeps it true, the tokens of service accounts, the admission steps that need either, and the
// options of the controllers that sign. Made before the pipeline, connected to it afterwards.
// Control thread.
#include <memory>
#include <vector>

#include "api/base/executors.h"
#include "api/server/auth/authenticator.h"
#include "api/server/auth/rbac_index.h"
#include "api/server/auth/service_account_tokens.h"
#include "api/server/pipeline.h"
#include "daemon/config.h"
#include "daemon/control_plane.h"
#include "daemon/pki/pki.h"

namespace moth {

class Security {
 public:
  Security(Executors& executors, Clock& clock, pki::Pki pki, std::string cluster_domain);

  std::vector<std::unique_ptr<server::Admission>> admission() const;
  // Follows roles and bindings, answers reviews and token requests. `authenticator` knows the
  // tokens of the token file. An error names the key that cannot be used.
  Result<> connect(server::Pipeline& pipeline, server::Authenticator authenticator);

  const std::shared_ptr<server::Authorizer>& authorizer() const { return authorizer_; }
  const std::shared_ptr<server::ServiceAccountTokens>& tokens() const { return tokens_; }
  ControlPlaneSecurity for_controllers() const;

 private:
  Executors& executors_;
  Clock& clock_;
  pki::Pki pki_;
  std::string cluster_domain_;
  std::shared_ptr<server::Authorizer> authorizer_;
  std::shared_ptr<server::ServiceAccountTokens> tokens_;
  std::unique_ptr<server::rbac::RbacIndex> index_;
};

}  // namespace moth
