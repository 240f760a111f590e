#pragma once
// Tokens: a Secret of type kubernetes.io/service-account-token whose annotation
// kubernetes.io/service-account.name names an account gets token, ca.crt and namespace, and goes
// when the account goes. No such Secret is made by itself.
#include <functional>
#include <memory>
#include <string>

#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

struct TokenSecretOptions {
  std::string ca_pem;
  // A token of the account, bound to the Secret. Called on control, about 1 ms.
  std::function<Result<std::string>(const std::string& ns, const std::string& account,
                                    const std::string& account_uid, const std::string& secret)>
      sign;
};
std::unique_ptr<Controller> make_serviceaccounttokens_controller(ControllerContext context,
                                                                 TokenSecretOptions options);

}  // namespace moth::controllers
