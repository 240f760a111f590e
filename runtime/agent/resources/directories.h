#pragma once
#include "runtime/agent/resources/pod_resources.h"

namespace moth::agent {

// The pod's folders. They outlive cleanup(): the worker deletes them with the pod's records.
class PodDirectories final : public PodResource {
 public:
  explicit PodDirectories(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "directories"; }
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> cleanup(PodContext& pod) override;

 private:
  ResourceServices& services_;
};

// etc/hosts, etc/hostname and etc/resolv.conf. Needs the pod's address.
class PodEtcFiles final : public PodResource {
 public:
  explicit PodEtcFiles(ResourceServices& services) : services_(services) {}
  std::string_view name() const override { return "etc files"; }
  Task<Result<>> prepare(PodContext& pod) override;
  Task<Result<>> cleanup(PodContext& pod) override;

 private:
  ResourceServices& services_;
};

}  // namespace moth::agent
