#pragma once
// PodResource: one thing that a pod needs on the node before its containers run: folders, volumes,
// network, groups. The worker calls them in order, and cleans up in reverse. Control thread; what
// blocks is sent to the blocking executor inside.
//
// Contract: every method is idempotent. prepare() may be called again after a failure, and after a
// restart of the daemon (then it finds what is there and keeps it). cleanup() is guaranteed after
// prepare(), may be called for a pod that was never prepared, and leaves nothing behind.
#include <string_view>

#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

class PodResource {
 public:
  virtual ~PodResource() = default;
  virtual std::string_view name() const = 0;
  // Fills in what it gives (pod_ip, netns_path...). The error becomes an Event of reason
  // event_reason() and is tried again with backoff.
  virtual Task<Result<>> prepare(PodContext& pod) = 0;
  // The pod's object changed, or something it refers to.
  virtual Task<Result<>> update(PodContext& pod) {
    (void)pod;
    co_return Result<>{};
  }
  virtual Task<Result<>> cleanup(PodContext& pod) = 0;
  virtual std::string_view event_reason() const { return "FailedCreatePodSandBox"; }
};

}  // namespace moth::agent
