#include "runtime/agent/pod_step.h"

#include <algorithm>

namespace moth::agent {
namespace {

using resources::Container;
using resources::PodSpec;
using resources::RestartPolicy;
using State = ContainerRecord::State;

constexpr auto kFirstBackoff = std::chrono::seconds(10);
constexpr auto kMaxBackoff = std::chrono::seconds(300);
constexpr auto kBackoffReset = std::chrono::seconds(600);
constexpr auto kMinKillGrace = std::chrono::seconds(2);

const ContainerRecord& record_of(const PodRecord& pod, const std::string& name) {
  static const ContainerRecord kNone;
  const ContainerRecord* found = pod.find(name);
  return found ? *found : kNone;
}

// What one container needs in the syncing stage.
class Syncing {
 public:
  Syncing(const StepInput& input, const PodRecord& record, Step& step)
      : spec_(input.pod.spec()), record_(record), now_(input.now), step_(step) {}

  void run() {
    kill_marked();
    for (const Container& container : spec_.ephemeral_containers) drive(container);
    if (!init()) return;
    for (const Container& container : spec_.containers) {
      drive(container);
      // The containers after it wait for a postStart hook: service meshes count on that.
      if (container.post_start && is_beginning(container)) return;
    }
  }

 private:
  // True when the app containers may run.
  bool init() {
    for (const Container& container : spec_.init_containers) {
      const ContainerRecord& state = record_of(record_, container.name);
      if (container.is_sidecar()) {
        drive(container);
        if (!is_started(container, state)) return false;
        continue;
      }
      bool done = state.state == State::kExited && state.last && state.last->exit_code == 0;
      if (done) continue;
      drive(container);
      return false;
    }
    return true;
  }

  // Starts what should run and does not.
  void drive(const Container& container) {
    const ContainerRecord& state = record_of(record_, container.name);
    if (state.busy()) return;
    if (state.running()) {
      bool changed = !state.definition.empty() && state.definition != definition_of(container);
      if (changed && !state.killing && !state.kill_wanted) {
        step_.actions.push_back(
            {Action::Kind::kKill, container.name, spec_.termination_grace,
             "Container " + container.name + " definition changed, will be restarted"});
      }
      return;
    }
    if (state.state == State::kExited && state.last &&
        !should_restart(spec_, container, state.last->exit_code)) {
      return;
    }
    if (state.not_before > now_) {
      wake_at(state.not_before);
      return;
    }
    step_.actions.push_back({Action::Kind::kStart, container.name, {}, {}});
  }

  bool is_beginning(const Container& container) const {
    const ContainerRecord& state = record_of(record_, container.name);
    if (state.busy() || (state.running() && !state.post_start_done)) return true;
    return !step_.actions.empty() && step_.actions.back().kind == Action::Kind::kStart &&
           step_.actions.back().container == container.name;
  }

  void kill_marked() {
    for (const auto& [name, state] : record_.containers) {
      if (!state.kill_wanted || state.killing || !state.running()) continue;
      auto grace = state.kill_grace.value_or(spec_.termination_grace);
      step_.actions.push_back({Action::Kind::kKill, name, std::max(grace, std::chrono::seconds(1)),
                               state.kill_message});
    }
  }

  void wake_at(MonoTime when) { step_.wake = step_.wake ? std::min(*step_.wake, when) : when; }

  const PodSpec& spec_;
  const PodRecord& record_;
  MonoTime now_;
  Step& step_;
};

// Nothing of the pod will run again by itself.
bool finished(const PodSpec& spec, const PodRecord& record) {
  for (const Container& container : spec.init_containers) {
    if (container.is_sidecar()) continue;
    const ContainerRecord& state = record_of(record, container.name);
    if (state.state != State::kExited || !state.last) return false;
    if (state.last->exit_code != 0) return !should_restart(spec, container, state.last->exit_code);
  }
  for (const Container& container : spec.containers) {
    const ContainerRecord& state = record_of(record, container.name);
    if (state.state != State::kExited || !state.last) return false;
    if (should_restart(spec, container, state.last->exit_code)) return false;
  }
  return !spec.containers.empty();
}

bool any_alive(const PodRecord& record) {
  for (const auto& [name, state] : record.containers) {
    if (state.running() || state.state == State::kStarting) return true;
  }
  return false;
}

bool any_busy(const PodRecord& record) {
  for (const auto& [name, state] : record.containers) {
    if (state.busy()) return true;
  }
  return false;
}

// What is left of the one grace period that all containers share.
std::chrono::seconds grace_left(const StepInput& input, const PodRecord& record) {
  if (input.object_gone) return std::chrono::seconds(1);
  auto grace = input.pod.spec().termination_grace;
  if (input.pod.meta().deletion_grace_seconds)
    grace = std::chrono::seconds(*input.pod.meta().deletion_grace_seconds);
  auto used =
      std::chrono::duration_cast<std::chrono::seconds>(input.wall - record.deletion_requested);
  grace -= std::max(used, std::chrono::seconds(0));
  return std::max(grace, std::chrono::seconds(kMinKillGrace));
}

void terminate(const StepInput& input, const PodRecord& record, Step& step) {
  if (!record.withdrawn) {
    if (!record.withdrawing) step.actions.push_back({Action::Kind::kWithdraw, {}, {}, {}});
    return;
  }
  const PodSpec& spec = input.pod.spec();
  auto grace = grace_left(input, record);
  auto kill = [&](const Container& container) {
    const ContainerRecord& state = record_of(record, container.name);
    if (!state.running()) return state.state == State::kStarting;
    if (!state.killing) {
      step.actions.push_back(
          {Action::Kind::kKill, container.name, grace, "Stopping container " + container.name});
    }
    return true;
  };
  bool alive = false;
  for (const Container& container : spec.ephemeral_containers) alive = kill(container) || alive;
  for (const Container& container : spec.containers) alive = kill(container) || alive;
  for (const Container& container : spec.init_containers) {
    if (!container.is_sidecar()) alive = kill(container) || alive;
  }
  if (alive) return;
  // Sidecars after all others, the last one first.
  for (auto it = spec.init_containers.rbegin(); it != spec.init_containers.rend(); ++it) {
    if (it->is_sidecar() && kill(*it)) return;
  }
  if (any_alive(record)) return;
  step.stage = PodStage::kTerminated;
}

}  // namespace

bool should_restart(const PodSpec& spec, const Container& container, int exit_code) {
  for (const resources::RestartRule& rule : container.restart_rules) {
    bool listed = std::find(rule.exit_codes.begin(), rule.exit_codes.end(), exit_code) !=
                  rule.exit_codes.end();
    if (listed != rule.not_in) return true;
  }
  if (container.kind == Container::Kind::kEphemeral) return false;
  RestartPolicy policy = container.restart_policy.value_or(spec.restart_policy);
  if (container.kind == Container::Kind::kInit && !container.is_sidecar()) {
    // Init containers run until they succeed once.
    return exit_code != 0 && policy != RestartPolicy::kNever;
  }
  if (policy == RestartPolicy::kAlways) return true;
  return policy == RestartPolicy::kOnFailure && exit_code != 0;
}

Duration next_backoff(ContainerRecord& record, MonoTime now) {
  bool fresh =
      record.backoff_at == MonoTime{} || now - record.backoff_at > kBackoffReset + record.backoff;
  if (fresh) {
    record.backoff = Duration::zero();
  } else if (record.backoff == Duration::zero()) {
    record.backoff = kFirstBackoff;
  } else {
    record.backoff = std::min<Duration>(record.backoff * 2, kMaxBackoff);
  }
  record.backoff_at = now;
  return record.backoff;
}

bool is_started(const Container& container, const ContainerRecord& record) {
  return record.running() && record.post_start_done &&
         (!container.startup || record.startup_passed);
}

bool initialized(const PodSpec& spec, const PodRecord& record) {
  for (const Container& container : spec.init_containers) {
    const ContainerRecord& state = record_of(record, container.name);
    if (container.is_sidecar()) {
      if (!is_started(container, state) && !state.ever_started()) return false;
      continue;
    }
    if (state.state != State::kExited || !state.last || state.last->exit_code != 0) return false;
  }
  return true;
}

std::string definition_of(const Container& container) {
  return container.image;
}

Step pod_step(const StepInput& input, const PodRecord& record) {
  Step step;
  step.stage = record.stage;
  const resources::PodView& pod = input.pod;
  if (record.stage == PodStage::kSyncing) {
    bool end = input.object_gone || pod.is_deleting() || pod.is_finished() ||
               !record.failed_reason.empty() || finished(pod.spec(), record);
    if (pod.spec().active_deadline && !end) {
      auto left = *pod.spec().active_deadline - (input.wall - record.accepted_at);
      if (left <= WallTime::duration::zero()) {
        end = true;
        step.failed_reason = "DeadlineExceeded";
        step.failed_message = "Pod was active on the node longer than the specified deadline";
      } else {
        step.wake = input.now + std::chrono::duration_cast<Duration>(left);
      }
    }
    if (end) {
      step.stage = PodStage::kTerminating;
      step.wake.reset();
      return step;  // the worker asks again in the new stage
    }
    if (!record.resources_ready) {
      if (record.resources_busy) return step;
      if (record.resources_not_before > input.now) {
        step.wake = step.wake ? std::min(*step.wake, record.resources_not_before)
                              : record.resources_not_before;
        return step;
      }
      step.actions.push_back({Action::Kind::kPrepareResources, {}, {}, {}});
      return step;
    }
    Syncing(input, record, step).run();
    return step;
  }
  if (record.stage == PodStage::kTerminating) {
    if (record.resources_busy) return step;  // prepare() first ends
    terminate(input, record, step);
    return step;
  }
  if (record.stage == PodStage::kTerminated) {
    if (record.cleaning || any_busy(record)) return step;
    if (!record.cleaned) {
      step.actions.push_back({Action::Kind::kCleanUp, {}, {}, {}});
    } else if (input.object_gone) {
      step.actions.push_back({Action::Kind::kForget, {}, {}, {}});
    } else {
      step.actions.push_back({Action::Kind::kFinish, {}, {}, {}});
    }
  }
  return step;
}

}  // namespace moth::agent
