#pragma once
#include "runtime/agent/resources/pod_resources.h"

namespace moth::agent {

// What the containers of a pod share besides the network: IPC namespace and /dev/shm when it has
// more than one, the process namespace with shareProcessNamespace; the host's where it asks for
// that.
class PodNamespaces final : public PodResource {
 public:
  explicit PodNamespaces(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "namespaces"; }
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> cleanup(PodContext& pod) override;

 private:
  Task<Result<>> share_processes(PodContext& pod);
  ResourceServices& services_;
};

// Whether the pod has an IPC namespace and a /dev/shm for all its containers.
bool shares_ipc(const resources::PodSpec& spec);
// The tmpfs of a pod's shared /dev/shm.
std::string shared_memory_path(const Paths& paths, const std::string& pod_uid);

}  // namespace moth::agent
