#pragma once
// PodRecord: what the node knows about one pod, as its worker keeps and checkpoints it. Plain
// values; control thread. pod_step.h decides from it, pod_worker.h changes it, pod_status.h reports
// it.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth::agent {

// How a run of a container ended.
struct Termination {
  int exit_code = 0;
  int signal = 0;
  std::string reason, message;  // Completed, Error, OOMKilled, ...
  WallTime started_at{}, finished_at{};
  std::string container_id;
};

struct ContainerRecord {
  enum class State {
    kWaiting,   // never started, or its last run is over and the next has not begun
    kPulling,   // image
    kStarting,  // being created and started
    kRunning,
    kExited,
  };
  State state = State::kWaiting;
  int attempt = -1;  // number of the present or last run; -1: none yet. restartCount when positive.
  std::string waiting_reason, waiting_message;  // kWaiting: ErrImagePull, CrashLoopBackOff, ...
  std::string image, image_id, local_image_id;
  std::string definition;  // hash of the spec that runs, to see a changed image
  WallTime started_at{};
  std::optional<Termination> last;      // of the present run once kExited, else of the one before
  std::optional<Termination> previous;  // of the run before `last`
  bool post_start_done = false;
  bool startup_passed = false;
  bool ready = false;
  // A kill was decided: why, and with which grace (unset: the pod's).
  bool kill_wanted = false;
  bool killing = false;
  std::string kill_message;
  std::optional<std::chrono::seconds> kill_grace;
  // Restart back-off: the last wait, and when the next start may be. Monotonic: after a restart of
  // the daemon they begin again.
  Duration backoff{};
  MonoTime backoff_at{};
  MonoTime not_before{};
  // Back-off of failed pulls and creations.
  Duration retry_backoff{};

  bool running() const { return state == State::kRunning; }
  bool busy() const { return state == State::kPulling || state == State::kStarting; }
  bool ever_started() const { return attempt >= 0 && (running() || last.has_value()); }
};

// Phases go forward only.
enum class PodStage { kSyncing, kTerminating, kTerminated, kGone };

struct PodRecord {
  PodStage stage = PodStage::kSyncing;
  WallTime accepted_at{};  // status.startTime
  bool resources_ready = false;
  bool resources_busy = false;
  MonoTime resources_not_before{};
  Duration resources_backoff{};
  bool cleaned = false;
  bool cleaning = false;
  bool withdrawn = false;  // out of every Service
  bool withdrawing = false;
  std::string pod_ip;
  // Set once the pod must end for a reason of the node's: Evicted, DeadlineExceeded, ...
  std::string failed_reason, failed_message;
  std::string node_message;       // why it is not progressing, for status.message
  WallTime deletion_requested{};  // when termination began
  std::map<std::string, ContainerRecord> containers;  // by name, of all kinds

  ContainerRecord& container(const std::string& name) { return containers[name]; }
  const ContainerRecord* find(const std::string& name) const {
    auto it = containers.find(name);
    return it == containers.end() ? nullptr : &it->second;
  }
};

// The checkpoint: what must survive the daemon. Times of back-offs do not.
Json to_checkpoint(const PodRecord& record, const std::string& ns, const std::string& name,
                   const std::string& uid);
Result<PodRecord> from_checkpoint(const Json& checkpoint);

}  // namespace moth::agent
