#pragma once
// Root CA publisher: every active namespace has a ConfigMap kube-root-ca.crt with the certificate
// of the CA that signed the API server's.
#include <memory>
#include <string>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

std::unique_ptr<Controller> make_rootca_controller(ControllerContext context, std::string ca_pem);

}  // namespace moth::controllers
