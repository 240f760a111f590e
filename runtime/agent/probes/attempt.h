#pragma once
// One try of a handler: HTTP, TCP, exec. What it says goes into events word by word, so the texts
// are upstream's (k8s-behaviours section 8). Control executor.
#include <memory>
#include <string>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/task.h"
#include "api/http/client.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"
#include "runtime/shim/container.h"

namespace moth::agent {

struct AttemptResult {
  enum class Outcome {
    kSuccess,
    kFailure,
    kError
  };  // kError: the prober's own trouble, no verdict
  Outcome outcome = Outcome::kSuccess;
  std::string output;
};

class AttemptRunner {
 public:
  explicit AttemptRunner(Executors& executors);
  ~AttemptRunner();
  // Cancellable. At most `timeout`.
  Task<AttemptResult> run(const PodContext& pod, const resources::Container& container,
                          const resources::Handler& handler, shim::Container& running,
                          Duration timeout);

 private:
  Task<AttemptResult> http(const PodContext& pod, const resources::Container& container,
                           const resources::Handler& handler, Duration timeout);
  Task<AttemptResult> tcp(const PodContext& pod, const resources::Container& container,
                          const resources::Handler& handler, Duration timeout);
  Task<AttemptResult> exec(const resources::Handler& handler, shim::Container& running,
                           Duration timeout);

  std::unique_ptr<http::Client> client_;
};

// The number that a handler's port means for a container; 0 when it names no port of it.
int resolve_port(const IntOrString& port, const resources::Container& container);

}  // namespace moth::agent
