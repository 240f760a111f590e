#pragma once
// Prober: runs the probes of one running container and tells when a verdict changes. One per run of
// a container, made when it started, destroyed when it ended. Control thread.
#include <functional>
#include <memory>
#include <string>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/task.h"
#include "api/client/event_recorder.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"
#include "runtime/shim/container.h"

namespace moth::agent {

enum class ProbeKind : std::uint8_t { kStartup, kReadiness, kLiveness };

struct ProbeVerdict {
  ProbeKind kind;
  bool success;
  std::string message;  // of a failure: what the last try said
};

class Prober {
 public:
  virtual ~Prober() = default;
  // Deletion began: liveness and startup stop, readiness goes on.
  virtual void terminating() = 0;
  // Ends the probes. To be awaited before the container handle is destroyed.
  virtual Task<void> stop() = 0;
};

class ProberFactory {
 public:
  virtual ~ProberFactory() = default;
  // `on_verdict` is called on control when a verdict changes (after the thresholds). A container
  // without a probe of some kind gets none for it. `resume_jitter`: the daemon itself just started.
  virtual std::unique_ptr<Prober> start(const PodContext& pod,
                                        const resources::Container& container,
                                        shim::Container& running, WallTime started_at,
                                        bool resume_jitter,
                                        std::function<void(ProbeVerdict)> on_verdict) = 0;
  // One handler once (postStart, preStop): its error says what failed. Cancellable.
  virtual Task<Result<>> run_hook(const PodContext& pod, const resources::Container& container,
                                  const resources::Handler& handler, shim::Container& running) = 0;
};

}  // namespace moth::agent
