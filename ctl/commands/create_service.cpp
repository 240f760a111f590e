// create service, with its types.
#include "ctl/commands/generator_command.h"
#include "ctl/commands/generators.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

template <const auto& kType>
Outcome<Json> service_of_type(const Arguments& arguments, const std::string& name) {
  return make_service(arguments, name, kType);
}

constexpr char kClusterIp[] = "ClusterIP", kNodePort[] = "NodePort",
               kLoadBalancer[] = "LoadBalancer", kExternalName[] = "ExternalName";
constexpr char kClusterIpService[] = "ClusterIP service", kNodePortService[] = "NodePort service",
               kLoadBalancerService[] = "LoadBalancer service",
               kExternalNameService[] = "ExternalName service";

}  // namespace

Command create_service_command() {
  auto flags = join_flags(
      {create_flags(),
       {{"clusterip", 0, FlagKind::kText, "", "Its address; None for a headless service."},
        {"external-name", 0, FlagKind::kText, "", "DNS name that the service stands for."},
        {"node-port", 0, FlagKind::kInteger, "0", "Port on the node; 0: a free one."},
        {"tcp", 0, FlagKind::kList, "", "PORT or PORT:TARGET, joined by commas."}}});
  auto make = [&](std::string_view name, std::string_view summary, auto* run) {
    return Command{.name = name,
                   .summary = summary,
                   .usage = "NAME [--tcp=PORT:TARGET]",
                   .flags = flags,
                   .run = run};
  };
  return {.name = "service",
          .aliases = {"svc"},
          .summary = "Create a service",
          .children = {make("clusterip", "Create a ClusterIP service",
                            run_generator<service_of_type<kClusterIp>, kClusterIpService>),
                       make("externalname", "Create an ExternalName service",
                            run_generator<service_of_type<kExternalName>, kExternalNameService>),
                       make("loadbalancer", "Create a LoadBalancer service",
                            run_generator<service_of_type<kLoadBalancer>, kLoadBalancerService>),
                       make("nodeport", "Create a NodePort service",
                            run_generator<service_of_type<kNodePort>, kNodePortService>)}};
}

}  // namespace moth::ctl
