#include "runtime/agent/resources/pod_resources.h"

#include "runtime/agent/resources/cgroup.h"
#include "runtime/agent/resources/directories.h"
#include "runtime/agent/resources/namespaces.h"
#include "runtime/agent/resources/networking.h"
#include "runtime/agent/resources/pod_volumes.h"

namespace moth::agent {

std::vector<PodResource*> PodResources::pointers() const {
  std::vector<PodResource*> out;
  for (const auto& resource : list) out.push_back(resource.get());
  return out;
}

PodResources make_pod_resources(ResourceServices& services) {
  PodResources out;
  out.list.push_back(std::make_unique<PodDirectories>(services));
  out.list.push_back(std::make_unique<PodCgroup>(services));
  // Before the network: a pod that waits for a ConfigMap shows no address, as everywhere.
  out.list.push_back(std::make_unique<PodVolumes>(services));
  auto networking = std::make_unique<PodNetworking>(services);
  out.networking = networking.get();
  out.list.push_back(std::move(networking));
  out.list.push_back(std::make_unique<PodEtcFiles>(services));
  out.list.push_back(std::make_unique<PodNamespaces>(services));
  return out;
}

}  // namespace moth::agent
