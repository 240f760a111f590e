#pragma once
// Scheduler: gives every pending pod of schedulerName default-scheduler a node, by a binding, or
// says why not (condition PodScheduled, event FailedScheduling). Control thread.
#include <map>
#include <memory>
#include <string>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/client/event_recorder.h"
#include "api/client/object_client.h"
#include "scheduler/pipeline.h"
#include "scheduler/preemption.h"
#include "scheduler/queue.h"

namespace moth::scheduler {

class Scheduler {
 public:
  Scheduler(asio::any_io_executor control, Clock& clock, client::ObjectReader& reader,
            client::ObjectClient& client, client::EventRecorder& events);
  ~Scheduler();
  void start();
  Task<void> stop();
  std::size_t waiting() const { return queue_.size(); }

 private:
  void pod_changed(const client::ObjectReader::Change& change);
  Task<void> run();
  Task<void> schedule(QueuedPod pod);
  Task<void> refuse(ObjectPtr pod, const QueuedPod& queued, const Snapshot& snapshot,
                    const Decision& decision);
  Task<void> preempt(const Object& pod, const PreemptionPlan& plan);
  Task<void> set_unschedulable(ObjectPtr pod, std::string reason, std::string message,
                               std::string nominated);
  Snapshot snapshot() const;

  asio::any_io_executor control_;
  Clock& clock_;
  client::ObjectReader& reader_;
  client::ObjectClient& client_;
  client::EventRecorder& events_;
  Pipeline pipeline_;
  Queue queue_;
  Notifier changed_;
  TaskScope scope_;
};

}  // namespace moth::scheduler
