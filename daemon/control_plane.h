#pragma once
// ControlPlane: the controllers and the scheduler, each as a system user of its own. Control
// thread.
#include <memory>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/client/node_api.h"
#include "api/server/pipeline.h"
#include "daemon/controllers/certificates/certificates_controller.h"
#include "daemon/controllers/serviceaccounttokens/serviceaccounttokens_controller.h"
#include "daemon/local_client.h"

namespace moth {

// What the controllers that sign and publish keys need.
struct ControlPlaneSecurity {
  std::string ca_pem;
  controllers::TokenSecretOptions token_secrets;
  controllers::CertificateOptions certificates;
};

class ControlPlane {
 public:
  ControlPlane(Executors& executors, Clock& clock, server::Pipeline& pipeline, LocalReader& reader);
  ~ControlPlane();
  // Usage for the autoscaler; before start().
  void use_node(client::NodeApi* node);
  // Before start(); without it the controllers that need it do not run.
  void use_security(ControlPlaneSecurity security);
  void start();
  // Completes when the endpoints of everything known at start() are written.
  Task<void> endpoints_settled();
  Task<void> stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moth
