#pragma once
#include <map>

#include "runtime/agent/resources/pod_resources.h"

namespace moth::agent {

// The pod's own group with its limits, and the share of the QoS class above it. After a resize also
// the groups of the containers that run.
class PodCgroup final : public PodResource {
 public:
  explicit PodCgroup(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "cgroup"; }
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> update(PodContext& pod) override;
  // Ends what still runs in it, then deletes it in every hierarchy.
  Task<Result<>> cleanup(PodContext& pod) override;

 private:
  Task<Result<>> share_burstable();
  ResourceServices& services_;
  std::map<std::string, std::int64_t> burstable_;  // millicores by pod uid
  std::map<std::string, cgroups::PodSums> applied_;
  std::map<std::string, std::string> containers_;  // limits of the containers as text, by pod uid
};

// The sums that bound the pod as a whole. Control thread.
cgroups::PodSums pod_sums(const Object& pod);

}  // namespace moth::agent
