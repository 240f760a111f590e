#pragma once
// PodManager: one worker for each pod that is assigned to this node. Follows the pods of the API,
// finds the pods of an earlier daemon on disk, and ends what no longer has an object. Control
// thread.
#include <map>
#include <memory>
#include <set>
#include <string>

#include "api/client/object_client.h"
#include "runtime/agent/pod_worker.h"

namespace moth::agent {

class PodManager {
 public:
  PodManager(WorkerServices& services, client::ObjectReader& reader);
  ~PodManager();

  // Adopts the pods of the last run, then follows the API. `rebooted`: the machine started anew.
  Task<Result<>> start(bool rebooted);
  // Ends every pod on this node, whatever the API says, and waits until nothing is left of them.
  Task<void> stop_all();
  // The daemon leaves; the containers stay.
  Task<void> detach();

  // The worker of a pod; null when the node does not have it.
  PodWorker* find(const std::string& uid) const;
  std::vector<PodWorker*> workers() const;
  // Every pod whose volumes or environment refer to this object is brought up to date.
  void refresh(const std::set<std::string>& pod_uids);
  // Called after a worker came or went, or its record changed enough to matter for metrics.
  std::function<void()> on_change;

 private:
  void changed(const client::ObjectReader::Change& change);
  void begin(const ObjectPtr& pod, PodRecord record, bool adopted, bool rebooted);
  Task<void> reap(std::string uid);
  bool mine(const Object& pod) const;
  ObjectPtr find_object(const std::string& uid) const;
  Task<Result<>> adopt(bool rebooted);
  void adopt_one(const std::string& uid, const Json& checkpoint, bool rebooted);

  WorkerServices& services_;
  client::ObjectReader& reader_;
  std::map<std::string, std::unique_ptr<PodWorker>> workers_;
  Notifier all_gone_;
  TaskScope scope_;
  bool detached_ = false;
};

}  // namespace moth::agent
