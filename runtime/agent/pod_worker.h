#pragma once
// PodWorker: one coroutine that brings one pod to what its object says. It asks pod_step what to
// do, starts the actions as tasks of its own, reports the status, and waits for the next change: of
// the object, of a container, of a probe, of time. It checkpoints before it acts, so that another
// daemon can go on where this one stopped. Control thread.
//
// Two ways to stop: the pod ends (its object is deleted or finished), or detach(): the daemon
// leaves and the containers stay.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/client/event_recorder.h"
#include "api/client/object_client.h"
#include "runtime/agent/container_factory.h"
#include "runtime/agent/paths.h"
#include "runtime/agent/pod_context.h"
#include "runtime/agent/pod_record.h"
#include "runtime/agent/pod_resource.h"
#include "runtime/agent/pod_step.h"
#include "runtime/agent/probes/prober.h"
#include "runtime/oci/runtime.h"

namespace moth::agent {

// What every worker uses; all outlive the workers.
struct WorkerServices {
  Executors& executors;
  Clock& clock;
  Paths paths;
  client::ObjectClient& client;
  client::EventRecorder& events;
  oci::Runtime& runtime;
  ContainerFactory& factory;
  ProberFactory& probers;
  std::vector<PodResource*> resources;  // in the order of prepare()
  // Takes the pod's address out of every Service; completes when the kernel has it.
  std::function<Task<Result<>>(std::string pod_ip)> withdraw;
  // The address may belong to another pod from now on.
  std::function<Task<Result<>>(std::string pod_ip)> readmit;
  // An adopted pod has this address: it is not to be given to a new one.
  std::function<void(const std::string& uid, const std::string& pod_ip)> reserve_address;
  std::string instance, node_name, host_ip;
};

class PodWorker {
 public:
  // `record`: of a checkpoint, or fresh. `rebooted`: nothing of it runs any more.
  PodWorker(WorkerServices& services, ObjectPtr pod, PodRecord record, bool adopted, bool rebooted);
  ~PodWorker();

  void start();
  // The newest object; null: it was deleted by force.
  void update(ObjectPtr pod);
  // Something that the pod's volumes or environment refer to changed.
  void refresh();
  Task<void> detach();
  // The worker is done for good: nothing of the pod is left on the node.
  bool gone() const { return record_.stage == PodStage::kGone; }
  // Completes after the first status report, at once when that is past.
  Task<void> wait_reported();
  // Completes when gone().
  Task<void> wait_gone();

  const PodContext& context() const { return context_; }
  const PodRecord& record() const { return record_; }
  // The running container, or null. Keeps it valid while held.
  std::shared_ptr<shim::Container> running(const std::string& container) const;
  // Ends the pod for a reason of the node's: Evicted...
  void fail(std::string reason, std::string message);

 private:
  struct Run;

  Task<void> run();
  Task<void> recover();
  void recover_container(const resources::Container& container);
  void enter(PodStage stage);
  void perform(const Action& action);
  Task<void> prepare_resources();
  Task<void> refresh_resources();
  Task<void> start_container(resources::Container container);
  Task<bool> launch(const resources::Container& container, const PulledImage& image);
  void begin_run(const resources::Container& container, std::unique_ptr<shim::Container> handle,
                 bool adopted);
  Task<void> watch_run(resources::Container container, std::shared_ptr<Run> run, bool adopted);
  void end_run(const resources::Container& container, const std::shared_ptr<Run>& run,
               const shim::Exit& exit, std::string message);
  Task<void> remove_run(std::string container, int attempt, std::string id);
  Task<void> kill_container(std::string container, std::chrono::seconds grace, std::string message);
  Task<void> ending();
  Task<void> ended_or_overdue(std::shared_ptr<Run> run);
  Task<void> withdraw();
  Task<void> clean_up();
  Task<void> finish();
  Task<void> forget();
  Task<void> report();
  void on_verdict(const resources::Container& container, const std::shared_ptr<Run>& run,
                  const ProbeVerdict& verdict);
  void failed_to_make(const resources::Container& container, const FactoryError& error);
  Task<void> announce_backoff(std::string container, std::string reason, std::string message);
  const resources::Container* find_container(const std::string& name) const;
  std::string field_path(const resources::Container& container) const;
  Task<std::string> termination_message(const resources::Container& container, int attempt,
                                        int exit_code) const;
  // Completes when the record, as it is at the call or later, is on disk as the checkpoint.
  Task<void> save();
  void changed() { changed_.notify(); }
  void event(client::EventType type, std::string_view reason, std::string message,
             std::string_view path = "");

  WorkerServices& services_;
  PodContext context_;
  PodRecord record_;
  bool adopted_, rebooted_;
  bool object_gone_ = false;
  bool detached_ = false;
  bool finishing_ = false, forgetting_ = false;
  std::string saved_;     // the last checkpoint
  bool saving_ = false;   // one write at a time, so that the last one wins
  std::string reported_;  // the last status that was written
  std::map<std::string, std::shared_ptr<Run>> runs_;
  std::string refreshed_for_;  // resourceVersion that update() of the resources has seen
  bool refresh_wanted_ = false, refreshing_ = false;
  bool first_report_done_ = false;
  Notifier changed_, gone_, first_report_, ending_, save_ended_;
  TaskScope scope_;
};

}  // namespace moth::agent
