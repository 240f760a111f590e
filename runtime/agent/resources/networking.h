#pragma once
#include <map>

#include "runtime/agent/resources/pod_resources.h"

namespace moth::agent {

// The pod's network namespace and address.
class PodNetworking final : public PodResource {
 public:
  explicit PodNetworking(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "network"; }
  // Keeps PodContext.pod_ip when it is set and free.
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> cleanup(PodContext& pod) override;
  // For every pod of an earlier daemon before the first prepare(), so that no new pod is given its
  // address. Addresses outside the range and of hostNetwork pods are ignored.
  void reserve(const std::string& pod_uid, const std::string& pod_ip);

 private:
  Result<network::Ipv4> address_of(const PodContext& pod);
  ResourceServices& services_;
  std::map<std::string, network::Ipv4> addresses_;  // by pod uid
};

}  // namespace moth::agent
