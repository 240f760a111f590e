#pragma once
// pod_step: what the node is to do about a pod now. A pure function of the spec, the record and the
// time; the worker carries the actions out and asks again.
#include <optional>
#include <string>
#include <vector>

#include "api/resources/core_v1/pod_view.h"
#include "runtime/agent/pod_record.h"

namespace moth::agent {

struct Action {
  enum class Kind {
    kPrepareResources,
    kStart,     // pull, create and start the container
    kKill,      // preStop, signal, grace, SIGKILL
    kWithdraw,  // take the pod out of every Service, before any signal
    kCleanUp,   // network, groups, volumes, root file systems
    kFinish,    // report the end and delete the object when it is being deleted
    kForget,    // the object is gone: delete what is left on disk, then the pod is kGone
  };
  Kind kind = Kind::kStart;
  std::string container;
  std::chrono::seconds grace{0};  // kKill
  std::string message;            // kKill: for the event
  bool operator==(const Action&) const = default;
};

struct Step {
  std::vector<Action> actions;
  // When to ask again although nothing happened.
  std::optional<MonoTime> wake;
  PodStage stage = PodStage::kSyncing;  // the stage the pod is in after this step
  // A reason to end that this step found (DeadlineExceeded).
  std::string failed_reason, failed_message;
};

struct StepInput {
  const resources::PodView& pod;
  bool object_gone = false;  // deleted by force: end it, report nothing
  MonoTime now;
  WallTime wall;
};

Step pod_step(const StepInput& input, const PodRecord& record);

// Whether a container that ended with `exit_code` runs again.
bool should_restart(const resources::PodSpec& spec, const resources::Container& container,
                    int exit_code);
// The wait before the next start of a container that just ended: 0 the first time, then 10 s
// doubling to 300 s; anew, from 0, after 600 s without one. Updates the record.
Duration next_backoff(ContainerRecord& record, MonoTime now);

// Every init container has done its part.
bool initialized(const resources::PodSpec& spec, const PodRecord& record);
// Started, in the sense of startup probes and sidecars.
bool is_started(const resources::Container& container, const ContainerRecord& record);
// A hash over what cannot change without a restart of the container.
std::string definition_of(const resources::Container& container);

}  // namespace moth::agent
