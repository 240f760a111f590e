#pragma once
// The real probers: one coroutine a probe, tries through AttemptRunner. Control thread.
#include "runtime/agent/probes/attempt.h"
#include "runtime/agent/probes/prober.h"

namespace moth::agent {

// How a series of tries becomes a verdict: it changes after successThreshold or failureThreshold
// equal tries in a row. Pure.
class Threshold {
 public:
  Threshold(ProbeKind kind, const resources::Probe& probe);
  // Takes one try in. True when the verdict is now (again, for a failing liveness or startup probe)
  // to be told.
  bool take(bool success);
  bool verdict() const { return verdict_; }

 private:
  ProbeKind kind_;
  int success_threshold_, failure_threshold_;
  bool verdict_;
  bool told_ = false;
  bool last_ = false;
  int run_ = 0;
};

std::unique_ptr<ProberFactory> make_prober_factory(Executors& executors, Clock& clock,
                                                   client::EventRecorder& events);

}  // namespace moth::agent
