#include <fmt/format.h>

#include "api/base/json.h"
#include "ctl/cli/api.h"
#include "ctl/cli/context.h"
#include "ctl/cli/terminal.h"
#include "ctl/commands/all.h"

namespace moth::ctl {
namespace {

Outcome<int> run_cluster_info(Context& context, const Arguments&) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.path = "/readyz";
  request.accept = "application/json, */*";
  MOTH_ASSIGN(std::string ready, api->text(std::move(request)));
  bool colours = context.colours();
  context.print("{} is running at {}\n",
                coloured("Kubernetes control plane", colours ? Colour::kGreen : Colour::kNone),
                coloured(api->endpoint().server, colours ? Colour::kYellow : Colour::kNone));
  RestRequest services;
  services.path = "/api/v1/namespaces/kube-system/services";
  services.query = {{"labelSelector", "kubernetes.io/cluster-service=true"}};
  if (auto list = api->json(std::move(services)); list && list->contains("items")) {
    for (const Json& service : (*list)["items"]) {
      std::string name = string_or(service["metadata"], "name");
      context.print("{} is running at {}/api/v1/namespaces/kube-system/services/{}/proxy\n", name,
                    api->endpoint().server, name);
    }
  }
  return 0;
}

}  // namespace

Command cluster_info_command() {
  return {.name = "cluster-info",
          .group = "Other",
          .summary = "Display addresses of the control plane and services",
          .run = run_cluster_info};
}

}  // namespace moth::ctl
